//! The customer's account: deleted, because its key is the customer.

use std::fmt;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use rust_decimal::Decimal;
use terminal::printable;

use crate::orders_table::TableError;

#[derive(Debug)]
pub(crate) struct AccountsTable {
    pub(crate) client: Client,
    pub(crate) name: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    None,
    /// With this balance.
    Erased(String),
    WouldErase(String),
    /// It has this balance.
    HasBalance(String),
    /// An order that has not ended may need it.
    Needed,
    Changed,
}

impl Outcome {
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::None | Self::Erased(_) | Self::WouldErase(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Erased(balance) => write!(formatter, "deleted, with a balance of {balance}"),
            Self::WouldErase(balance) => {
                write!(formatter, "would be deleted, with a balance of {balance}")
            }
            Self::HasBalance(balance) => write!(
                formatter,
                "not deleted: its balance is {balance} (pay it out, then give --discard-balance)"
            ),
            Self::Needed => formatter
                .write_str("not deleted: an order that is not erased may need it (run again then)"),
            Self::Changed => formatter.write_str("not deleted: it changed meanwhile (run again)"),
        }
    }
}

impl AccountsTable {
    /// Deletes the account, unless it changes meanwhile.
    pub(crate) async fn erase(
        &self,
        customer_id: &str,
        discards_balance: bool,
        is_dry_run: bool,
    ) -> Result<Outcome, TableError> {
        let key = AttributeValue::S(customer_id.to_owned());
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let item = get.key("customerId", key.clone()).send().await;
        let item = item.map_err(|error| TableError::of("read the account", &error))?.item;
        let Some(item) = item else { return Ok(Outcome::None) };
        let balance = item.get("balance");
        let text = balance.and_then(|it| it.as_n().ok()).map_or("unknown", String::as_str);
        let text = printable(text);
        let is_empty = text.parse::<Decimal>().is_ok_and(|it| it.is_zero());
        if !is_empty && !discards_balance {
            return Ok(Outcome::HasBalance(text));
        }
        if is_dry_run {
            return Ok(Outcome::WouldErase(text));
        }
        let delete = self.client.delete_item().table_name(&self.name).key("customerId", key);
        let delete = match balance {
            Some(balance) => delete
                .condition_expression("balance = :balance")
                .expression_attribute_values(":balance", balance.clone()),
            None => delete,
        };
        match delete.send().await {
            Ok(_) => Ok(Outcome::Erased(text)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|it| it.is_conditional_check_failed_exception()) =>
            {
                Ok(Outcome::Changed)
            }
            Err(error) => Err(TableError::of("delete the account", &error)),
        }
    }
}
