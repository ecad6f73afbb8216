//! Stock and accounts: loaded before the orders, read back for the books.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use contracts::Money;
use futures::future::try_join_all;
use local::stack::Stack;

use crate::fault::chain;

/// Logical ids of the tables in the template.
const STOCK_TABLE: &str = "StockTable";
const ACCOUNTS_TABLE: &str = "AccountsTable";

/// Stock by SKU, balances by customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) stock: BTreeMap<String, Stock>,
    pub(crate) accounts: BTreeMap<String, Money>,
}

/// How many there are of one SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) available: i128,
    pub(crate) reserved: i128,
}

/// Why the stock and the accounts are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldingsError {
    #[error("cannot write {key} to {table}: {message}")]
    Write { table: String, key: String, message: String },
    #[error("cannot read {table}: {message}")]
    Read { table: String, message: String },
    #[error(
        "an item of {table} lacks {attribute}, or has something else than the demo loads there"
    )]
    Item { table: String, attribute: &'static str },
}

type Item = HashMap<String, AttributeValue>;

impl Holdings {
    /// Puts the items into the tables, over those of the same keys.
    pub(crate) async fn load(&self, stack: &Stack) -> Result<(), HoldingsError> {
        let number = |value: String| AttributeValue::N(value);
        let stock = self.stock.iter().map(|(sku, stock)| {
            let attributes = [
                ("sku", AttributeValue::S(sku.clone())),
                ("available", number(stock.available.to_string())),
                ("reserved", number(stock.reserved.to_string())),
            ];
            put(stack, STOCK_TABLE, sku, attributes.into())
        });
        try_join_all(stock).await?;
        let accounts = self.accounts.iter().map(|(customer_id, balance)| {
            let attributes = [
                ("customerId", AttributeValue::S(customer_id.clone())),
                ("balance", number(balance.to_string())),
            ];
            put(stack, ACCOUNTS_TABLE, customer_id, attributes.into())
        });
        try_join_all(accounts).await?;
        Ok(())
    }

    /// Reads both tables whole.
    pub(crate) async fn read(stack: &Stack) -> Result<Self, HoldingsError> {
        let mut holdings = Self::default();
        for item in scan(stack, STOCK_TABLE).await? {
            let stock = Stock {
                available: whole_number(&item, STOCK_TABLE, "available")?,
                reserved: whole_number(&item, STOCK_TABLE, "reserved")?,
            };
            holdings.stock.insert(text(&item, STOCK_TABLE, "sku")?, stock);
        }
        for item in scan(stack, ACCOUNTS_TABLE).await? {
            let balance = number(&item, "balance").and_then(Money::from_text);
            let balance = balance.ok_or_else(|| lacking(ACCOUNTS_TABLE, "balance"))?;
            holdings.accounts.insert(text(&item, ACCOUNTS_TABLE, "customerId")?, balance);
        }
        Ok(holdings)
    }
}

async fn put(
    stack: &Stack,
    table: &str,
    key: &str,
    attributes: BTreeMap<&str, AttributeValue>,
) -> Result<(), HoldingsError> {
    let item = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let request = stack.database.client().put_item().table_name(stack.table(table));
    match request.set_item(Some(item)).send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(HoldingsError::Write {
            table: stack.table(table),
            key: key.to_owned(),
            message: told(&error),
        }),
    }
}

async fn scan(stack: &Stack, table: &str) -> Result<Vec<Item>, HoldingsError> {
    let request = stack.database.client().scan().table_name(stack.table(table));
    let pages = request.consistent_read(true).into_paginator().items().send();
    pages
        .try_collect()
        .await
        .map_err(|error| HoldingsError::Read { table: stack.table(table), message: told(&error) })
}

/// What the database said, or why it could not be asked.
fn told<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    let said = error.as_service_error().and_then(ProvideErrorMetadata::message);
    said.map_or_else(|| chain(error), ToOwned::to_owned)
}

fn text(item: &Item, table: &str, attribute: &'static str) -> Result<String, HoldingsError> {
    let text = item.get(attribute).and_then(|value| value.as_s().ok());
    text.cloned().ok_or_else(|| lacking(table, attribute))
}

fn number<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_n().ok().map(String::as_str)
}

fn whole_number(item: &Item, table: &str, attribute: &'static str) -> Result<i128, HoldingsError> {
    let number = number(item, attribute).and_then(|number| number.parse().ok());
    number.ok_or_else(|| lacking(table, attribute))
}

fn lacking(table: &str, attribute: &'static str) -> HoldingsError {
    HoldingsError::Item { table: table.to_owned(), attribute }
}
