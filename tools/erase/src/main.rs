//! Erases a customer's data: overwrites the rows of their orders, and deletes their account.
//!
//! The rows stay, with their keys, so that a redelivered event of an erased order finds each stage
//! decided (`redelivered_events_of_an_erased_order_change_nothing`). A run that stopped is
//! completed by the next one: the row that lists an order is overwritten last.
//!
//! Exit codes: 0 everything is erased, 1 something is left, 2 the command could not start.

mod account;
mod arguments;
mod erased;
mod order;
mod orders_table;
mod remaining;

use std::{env, process::ExitCode};

use aws_config::BehaviorVersion;
use jiff::Timestamp;
use terminal::{ExitError, Parsed, Terminal, parse};

use crate::{
    account::AccountsTable,
    arguments::Arguments,
    order::{Outcome, erase_order},
    orders_table::OrdersTable,
};

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    terminal.exit_code(run(&terminal, Timestamp::now).await)
}

async fn run(terminal: &Terminal, clock: fn() -> Timestamp) -> Result<(), ExitError> {
    let arguments = parse::<Arguments>(env::args_os(), "cargo run --bin erase --");
    let arguments = match arguments.map_err(ExitError::start)? {
        Parsed::Help(text) => {
            terminal.println(&text);
            return Ok(());
        }
        Parsed::Run(arguments) => arguments,
    };
    let aws = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let client = aws_sdk_dynamodb::Client::new(&aws);
    let orders = OrdersTable { client: client.clone(), name: arguments.orders_table.clone() };
    let accounts = AccountsTable { client, name: arguments.accounts_table.clone() };
    let is_erased = erase(&arguments, &orders, &accounts, clock(), terminal).await?;
    for line in remaining::lines(clock()) {
        terminal.println(&line);
    }
    if is_erased {
        return Ok(());
    }
    Err(ExitError::run("something is left in the tables: see above, and run the command again"))
}

/// Returns whether nothing is left in the tables.
async fn erase(
    arguments: &Arguments,
    orders: &OrdersTable,
    accounts: &AccountsTable,
    now: Timestamp,
    terminal: &Terminal,
) -> Result<bool, ExitError> {
    let order_ids = orders.of_customer(&arguments.customer).await.map_err(ExitError::start)?;
    if order_ids.is_empty() {
        terminal.println(
            "orders: none in the index OrdersByCustomer (check how the id is spelled; orders whose \
             customerId is not a valid text are in no index)",
        );
    }
    let (mut is_erased, mut has_open) = (true, false);
    for order_id in &order_ids {
        let outcome = erase_order(orders, order_id, now, arguments.dry_run).await;
        has_open |= !matches!(outcome, Ok(Outcome::Erased { .. } | Outcome::WouldErase { .. }));
        let (text, is_done) = match outcome {
            Ok(outcome) => (outcome.to_string(), outcome.is_done()),
            Err(error) => (format!("not erased: {}", terminal::error_chain(&error)), false),
        };
        is_erased &= is_done;
        terminal.println(&format!("order {order_id}: {text}"));
    }
    let account = if has_open {
        Ok(account::Outcome::Needed)
    } else {
        accounts.erase(&arguments.customer, arguments.discard_balance, arguments.dry_run).await
    };
    let account = account.map_err(ExitError::run)?;
    terminal.println(&format!("account: {account}"));
    Ok(is_erased && account.is_done())
}
