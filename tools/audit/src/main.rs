//! Audits a running system: the books balance if every accepted order has one end or is open, stock
//! and balances agree with the rows, and the topics agree with the rows.
//!
//! It reads only, without a consumer group, while orders are under way. The scan is eventually
//! consistent: an order that looks wrong is read again, consistently, before it is reported.
//! Proved by `each_kind_of_damage_is_found_and_nothing_else` and
//! `orders_under_way_and_killed_functions_are_no_false_alarm`.
//!
//! Exit codes: 0 the books balance, 1 damage was found, 2 wrong usage, or a server does not respond.
//!
//! Reading order: [`audit`] (the order of the reads), [`scan`], [`order`], [`check`] and
//! [`sequence`] (the rules of an order's rows), [`topics`], [`records`], [`sums`], [`holdings`],
//! [`comparison`], [`books`], [`payments`], [`finding`].

mod amounts;
mod audit;
mod books;
mod check;
mod comparison;
mod finding;
mod holdings;
mod opening;
mod options;
mod order;
mod payments;
mod reader;
mod records;
mod report;
mod scan;
mod sequence;
mod servers;
mod stripe;
mod sums;
mod table_error;
mod tables;
mod topics;

use std::{env, process::ExitCode};

use jiff::Timestamp;
use terminal::{ExitError, Parsed, Terminal, parse};

use crate::{options::AuditOptions, stripe::Api};

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    terminal.exit_code(run(&terminal).await)
}

async fn run(terminal: &Terminal) -> Result<(), ExitError> {
    let options = match parse::<AuditOptions>(env::args_os(), "cargo run --bin audit --")
        .map_err(ExitError::start)?
    {
        Parsed::Help(text) => {
            terminal.println(&text);
            return Ok(());
        }
        Parsed::Run(options) => options,
    };
    let api = options.stripe.map(|_| {
        let variable = |name| env::var(name).ok();
        Api::new(variable("STRIPE_API_KEY"), variable("STRIPE_API_BASE"))
    });
    let api = api.transpose().map_err(ExitError::start)?;
    let servers = servers::connect(&options, Timestamp::now, terminal).await?;
    let report = Box::pin(audit::run(&options, &servers, api, Timestamp::now())).await?;
    if options.json {
        terminal.println(&report::json(&report).to_string());
    } else {
        report::lines(&report).iter().for_each(|line| terminal.println(line));
    }
    if report.findings.is_empty() { Ok(()) } else { Err(ExitError::Unbalanced) }
}
