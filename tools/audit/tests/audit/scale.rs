//! Many orders: what an audit reads, how long it takes, and how much memory.
//!
//! `AUDIT_ORDERS` is the number of orders, `AUDIT_FIGURES` a file for the report, and `AUDIT_PROGRAM`
//! another build of the program. docs/audit.md has the figures.

use std::{env, fmt::Write as _, fs};

use contracts::StageName;
use engine::CustomerIndexKey;
use jiff::{SignedDuration, Timestamp};

use crate::{
    program::{audit, item, text},
    rows::Sample,
    tables::Tables,
};

const DEFAULT_ORDERS: usize = 2_000;
const SKUS: usize = 50;
/// Rows are written in groups of this many orders.
const GROUP: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_reads_every_row_once_and_a_missing_end_among_many_orders_is_found() {
    let count = env::var("AUDIT_ORDERS").ok().and_then(|it| it.parse().ok());
    let count: usize = count.unwrap_or(DEFAULT_ORDERS);
    let tables = Tables::start().await;
    let at = Timestamp::now() - SignedDuration::from_hours(1);
    let mut id = String::new();
    let mut rows = Vec::new();
    for number in 0..count {
        id.clear();
        write!(id, "ord-{number:032x}").unwrap();
        let (customer, sku) =
            (format!("cust-{}", number % 1_000), format!("SKU-{}", number % SKUS));
        let sample = Sample { id: &id, customer: &customer, sku: &sku, amount: "12.50", at };
        let mut of_order = sample.completed(&format!("pay-{id}"));
        let accepted_at = format!("{at:.3}");
        of_order[0].customer_index =
            Some(CustomerIndexKey { customer_id: customer.clone(), accepted_at });
        // One order in the middle lost its end.
        of_order.retain(|row| number != count / 2 || row.key.stage != StageName::Close);
        rows.extend(of_order);
        if rows.len() >= GROUP || number + 1 == count {
            tables.database.insert(&rows).await;
            rows.clear();
        }
    }
    let number = |value: usize| aws_sdk_dynamodb::types::AttributeValue::N(value.to_string());
    for sku in 0..SKUS {
        let reserved = count / SKUS + usize::from(sku < count % SKUS);
        let key = ("sku", text(&format!("SKU-{sku}")));
        let stock = item([key, ("available", number(0)), ("reserved", number(reserved))]);
        tables.database.put("STOCK_TABLE", stock).await;
    }
    let found = audit(&tables.database.environment, &["--no-topics"]).await;
    let expected = vec![("missing-end".to_owned(), format!("ord-{:032x}", count / 2))];
    assert_eq!((found.status, found.findings()), (1, expected), "{found:?}");
    let read = &found.report["read"];
    assert_eq!(found.report["orders"], count);
    let items = read["items"].as_u64().unwrap();
    // Six rows an order, its stock twice, and the order that looked wrong.
    let rows = u64::try_from(6 * count).unwrap();
    assert!((rows..rows + 600).contains(&items), "{read}");
    if let Ok(path) = env::var("AUDIT_FIGURES") {
        fs::write(path, format!("{}\n", found.report)).unwrap();
    }
}
