//! Each kind of damage, planted in the tables of finished orders, and undone.

use contracts::{Envelope, EventType, StageName};
use engine::{Digest, Row, RowBody, row::Item};
use jiff::Timestamp;

use crate::{
    program::{Database, item, row_key, text},
    rows::Sample,
};

/// Finished orders to damage.
pub(crate) struct Finished {
    pub(crate) completed: String,
    pub(crate) declined: String,
}

/// A change of one item; `None` deletes it.
pub(crate) struct Change {
    table: &'static str,
    key: Item,
    item: Option<Item>,
}

/// Damage, with the finding that is expected.
pub(crate) struct Damage {
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) changes: Vec<Change>,
}

impl Damage {
    fn new(kind: &'static str, subject: &str, changes: Vec<Change>) -> Self {
        Self { kind, subject: subject.to_owned(), changes }
    }

    /// Plants it; returns the changes that undo it.
    pub(crate) async fn plant(self, database: &Database) -> Vec<Change> {
        apply(self.changes, database).await
    }
}

/// Applies changes; returns those that undo them.
pub(crate) async fn apply(changes: Vec<Change>, database: &Database) -> Vec<Change> {
    let mut undo = Vec::new();
    for Change { table, key, item } in changes {
        let before = database.get(table, key.clone()).await;
        match item {
            Some(item) => database.put(table, item).await,
            None => database.delete(table, key.clone()).await,
        }
        undo.push(Change { table, key, item: before });
    }
    undo
}

/// Reads a row and changes its item.
async fn row(database: &Database, id: &str, stage: &str, change: impl FnOnce(&mut Item)) -> Change {
    let key = row_key(id, stage);
    let mut item = database.get("ORDERS_TABLE", key.clone()).await.unwrap();
    change(&mut item);
    Change { table: "ORDERS_TABLE", key, item: Some(item) }
}

/// Replaces a text in an attribute.
fn replace<'a>(attribute: &'a str, from: &'a str, to: &'a str) -> impl FnOnce(&mut Item) + 'a {
    move |item| {
        let body = item[attribute].as_s().unwrap().clone();
        assert!(body.contains(from), "{body}");
        item.insert(attribute.to_owned(), text(&body.replace(from, to)));
    }
}

fn no_row(id: &str, stage: &str) -> Change {
    Change { table: "ORDERS_TABLE", key: row_key(id, stage), item: None }
}

fn new_row(row: &Row) -> Change {
    let key = row_key(&row.key.id, row.key.stage.name());
    Change { table: "ORDERS_TABLE", key, item: Some(row.to_item()) }
}

/// Adds to the number of an item of stock or accounts.
async fn number(
    database: &Database,
    table: &'static str,
    key: Item,
    numbers: &[(&str, &str)],
) -> Change {
    let mut item = database.get(table, key.clone()).await.unwrap();
    for (name, value) in numbers {
        let value = aws_sdk_dynamodb::types::AttributeValue::N((*value).to_owned());
        item.insert((*name).to_owned(), value);
    }
    Change { table, key, item: Some(item) }
}

/// Gives a row the digest of other bytes.
fn digest_of(bytes: &[u8]) -> impl FnOnce(&mut Item) + '_ {
    move |item| {
        let (_, row) = Row::from_item(item);
        *item = Row { digest: Digest::of(bytes), ..row.unwrap() }.to_item();
    }
}

/// Another amount in a row, and the close row as if that had been right.
async fn amount_that_was_closed(database: &Database, id: &str) -> Vec<Change> {
    let amount = row(database, id, "notification", replace("event", "12.5", "1.5")).await;
    let body = amount.item.as_ref().unwrap()["event"].as_s().unwrap().clone();
    let event = Envelope::decode(body.as_bytes()).unwrap();
    let close = row(database, id, "close", digest_of(event.payload.text().as_bytes())).await;
    vec![amount, close]
}

/// Rewrites the rows of an order as `erase` does.
pub(crate) async fn erased(database: &Database, id: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    for stage in ["order-api", "validator", "inventory", "payment", "notification", "close"] {
        let erase = |item: &mut Item| {
            digest_of(b"erased")(item);
            if stage != "close" {
                replace("event", "cust-1", "erased")(item);
            }
        };
        changes.push(row(database, id, stage, erase).await);
    }
    changes
}

/// The damage of tables. SKU-1 has 998 available and 2 reserved, cust-1 has 987.5.
pub(crate) async fn all(database: &Database, finished: &Finished) -> Vec<Damage> {
    let Finished { completed, declined } = finished;
    let sku = || item([("sku", text("SKU-1"))]);
    let customer = || item([("customerId", text("cust-1"))]);
    let stock = |numbers| number(database, "STOCK_TABLE", sku(), numbers);
    let account = |numbers| number(database, "ACCOUNTS_TABLE", customer(), numbers);
    let orphan = Sample {
        id: "ord-orphan",
        customer: "cust-1",
        sku: "SKU-1",
        amount: "1.00",
        at: Timestamp::now(),
    };
    let lost = Sample { id: "ord-lost", ..orphan };
    let second = Sample { id: declined, ..orphan };
    let second = second.row(
        StageName::Notification,
        RowBody::Event(second.event(EventType::OrderCompleted, "{}")),
        "{}",
    );
    let lacking = row(database, completed, "validator", |item| drop(item.remove("digest"))).await;
    let amount = amount_that_was_closed(database, completed).await;
    let digest = row(database, completed, "inventory", digest_of(b"other")).await;
    let other_end =
        row(database, completed, "close", replace("result", "COMPLETED", "FAILED")).await;
    vec![
        Damage::new("malformed-row", completed, vec![lacking]),
        Damage::new("orphan-row", "ord-orphan", vec![new_row(&orphan.invalid()[1])]),
        Damage::new("missing-row", completed, vec![no_row(completed, "validator")]),
        Damage::new("changed-row", completed, amount),
        Damage::new("changed-row", completed, vec![digest]),
        Damage::new("two-ends", declined, vec![new_row(&second)]),
        Damage::new("wrong-end", completed, vec![other_end]),
        Damage::new("missing-end", completed, vec![no_row(completed, "close")]),
        Damage::new(
            "missing-release",
            declined,
            vec![
                no_row(declined, "release"),
                stock(&[("available", "997"), ("reserved", "3")]).await,
            ],
        ),
        Damage::new(
            "event-not-published",
            "ord-lost",
            lost.invalid().iter().map(new_row).collect(),
        ),
        Damage::new("reserved-stock", "SKU-1", vec![stock(&[("reserved", "1")]).await]),
        Damage::new("reserved-stock", "SKU-1", vec![stock(&[("reserved", "3")]).await]),
        Damage::new("total-stock", "SKU-1", vec![stock(&[("available", "1000")]).await]),
        Damage::new("stock-item", "SKU-1", vec![stock(&[("available", "-1")]).await]),
        // A charge that was made twice.
        Damage::new("balance", "cust-1", vec![account(&[("balance", "975")]).await]),
        Damage::new("account-item", "cust-1", vec![account(&[("balance", "-1")]).await]),
    ]
}
