//! Pays from the balance that the customer has with us; needs no external service.
//!
//! The balance falls in the transaction that inserts the stage's row, and never below zero.

use contracts::{FailureCode, FailureReason, Money};
use engine::Effect;

const BALANCE: &str = "balance";

/// The accounts table: keyed by `customerId`, with the number `balance`.
#[derive(Debug)]
pub struct Wallet {
    /// The table's name.
    pub accounts_table: String,
}

impl Wallet {
    /// Subtracts the amount from the customer's balance, if that covers it.
    pub(crate) fn charge(&self, customer_id: &str, amount: Money) -> Effect {
        Effect {
            table: self.accounts_table.clone(),
            key: ("customerId", customer_id.to_owned()),
            is_key_loggable: false,
            adds: vec![(BALANCE, -amount.decimal())],
            floor: BALANCE,
            // Neither the customer nor the balance is named: failure events are widely read.
            refused: |effect, balance| {
                let why = match balance {
                    Some(_) => format!("the balance does not cover {}", effect.needs()),
                    None => "the customer has no account".to_owned(),
                };
                FailureReason::new(FailureCode::PaymentDeclined, why)
            },
        }
    }
}
