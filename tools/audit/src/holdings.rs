//! The stock and the balances of the tables.

use std::collections::BTreeMap;

use engine::row::Item;
use rust_decimal::Decimal;

use crate::{
    finding::{Finding, Kind},
    table_error::TableError,
    tables::Tables,
};

/// The stock of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) available: Decimal,
    pub(crate) reserved: Decimal,
}

/// The readable items of the stock and accounts tables, and what is wrong with the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) stock: BTreeMap<String, Stock>,
    pub(crate) accounts: BTreeMap<String, Decimal>,
    pub(crate) findings: Vec<Finding>,
}

impl Holdings {
    pub(crate) async fn read(tables: &Tables, with_accounts: bool) -> Result<Self, TableError> {
        let mut holdings = Self::default();
        for item in tables.scan_all(&tables.names.stock).await? {
            let sku = text(&item, "sku");
            match (number(&item, "available"), number(&item, "reserved").or(absent(&item))) {
                (Some(available), Some(reserved)) => {
                    holdings.stock.insert(sku, Stock { available, reserved });
                }
                _ => holdings.findings.push(Finding::new(
                    Kind::StockItem,
                    &sku,
                    "available and reserved, not below zero",
                    "other attributes",
                )),
            }
        }
        let accounts = tables.names.accounts.as_ref().filter(|_| with_accounts);
        let items = match accounts {
            Some(accounts) => tables.scan_all(accounts).await?,
            None => Vec::new(),
        };
        for item in items {
            let customer = text(&item, "customerId");
            match number(&item, "balance") {
                Some(balance) => drop(holdings.accounts.insert(customer, balance)),
                None => holdings.findings.push(Finding::new(
                    Kind::AccountItem,
                    &customer,
                    "a balance, not below zero",
                    "other attributes",
                )),
            }
        }
        Ok(holdings)
    }
}

fn text(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// A number that is not below zero.
fn number(item: &Item, name: &str) -> Option<Decimal> {
    let text = item.get(name)?.as_n().ok()?;
    let number = text.parse().or_else(|_| Decimal::from_scientific(text)).ok()?;
    Some(number).filter(|number: &Decimal| !number.is_sign_negative() || number.is_zero())
}

/// Zero, where an item was loaded without `reserved`: the functions add to it then.
fn absent(item: &Item) -> Option<Decimal> {
    (!item.contains_key("reserved")).then_some(Decimal::ZERO)
}
