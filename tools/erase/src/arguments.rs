//! The command line of `erase`.

use clap::Parser;
use contracts::order::MAX_KEY_BYTES;

/// Arguments of `erase`.
#[derive(Debug, Parser)]
#[command(
    name = "erase",
    bin_name = "cargo run --bin erase --",
    version,
    about = "Erases a customer's data from the tables, and says what remains elsewhere.",
    after_help = "Region and credentials are found as the AWS CLI finds them. \
                  AWS_ENDPOINT_URL_DYNAMODB names another database, such as that of the local run."
)]
pub(crate) struct Arguments {
    /// The customer, as customerId in their orders
    #[arg(long, value_name = "ID", value_parser = customer)]
    pub(crate) customer: String,
    /// Print what would be erased, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete the account although it has a balance, which is then lost: pay it out first
    #[arg(long)]
    pub(crate) discard_balance: bool,
    /// The table of the stages' rows: `OrdersTableName` of the stack
    #[arg(long, value_name = "TABLE", env = "ORDERS_TABLE")]
    pub(crate) orders_table: String,
    /// The table of the customers' balances: `AccountsTableName` of the stack
    #[arg(long, value_name = "TABLE", env = "ACCOUNTS_TABLE")]
    pub(crate) accounts_table: String,
}

/// The ids that can be in the index, and have an account.
fn customer(text: &str) -> Result<String, String> {
    match text.len() {
        _ if text.trim().is_empty() => Err("give the id of a customer".to_owned()),
        length if length > MAX_KEY_BYTES => Err(format!(
            "an id has at most {MAX_KEY_BYTES} bytes, and this one {length}: its orders are \
             in no index (docs/personal-data.md says how to find them)"
        )),
        _ => Ok(text.to_owned()),
    }
}
