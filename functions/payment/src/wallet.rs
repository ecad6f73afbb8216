//! Pays from the balance that a customer has with us; needs no outside service.
//!
//! The balance falls in the same transaction as the stage's row is put, and never below zero.

use aws_sdk_dynamodb::types::{AttributeValue, Update};
use contracts::{FailureCode, FailureReason, Money};
use stage::{Effect, Retry, decision::Refusal};

/// The accounts table: keyed by `customerId`, with the number `balance`.
#[derive(Debug)]
pub(crate) struct Wallet {
    pub(crate) accounts_table: String,
}

impl Wallet {
    /// Takes the amount off the customer's balance, if that covers it.
    pub(crate) fn charge(&self, customer_id: &str, amount: Money) -> Result<Effect, Retry> {
        let change = Update::builder()
            .table_name(&self.accounts_table)
            .key("customerId", AttributeValue::S(customer_id.to_owned()))
            .update_expression("SET balance = balance - :amount")
            .condition_expression("balance >= :amount")
            .expression_attribute_values(":amount", AttributeValue::N(amount.to_string()));
        // Neither the customer nor the balance is named: failure events are widely read.
        let refused = move |account: Option<&_>| {
            let why = match account {
                Some(_) => format!("the balance does not cover {amount}"),
                None => "the customer has no account".to_owned(),
            };
            FailureReason::new(FailureCode::PaymentDeclined, why)
        };
        Effect::new(change, Refusal::new(refused))
    }
}
