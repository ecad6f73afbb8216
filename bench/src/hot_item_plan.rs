//! The hot items, and the orders that share one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::orders;
use crate::record::Record;
use crate::stage::Stage;

/// Partitions of the topic, each with its own function process.
pub(crate) const PARTITIONS: usize = 6;

/// The item that all orders of a measurement update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HotItem {
    Sku,
    Account,
}

/// One measurement: number of orders, batch size, and number of units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) mode: &'static str,
    pub(crate) batch: usize,
    pub(crate) orders: u64,
    /// Units of stock or of balance; each order takes one.
    pub(crate) holding: u64,
    /// No process gets another batch after this time.
    pub(crate) limit: Duration,
}

const fn plan(mode: &'static str, batch: usize, orders: u64, holding: u64, limit_s: u64) -> Plan {
    Plan { mode, batch, orders, holding, limit: Duration::from_secs(limit_s) }
}

// A transaction holds 99 orders of one item, and the template's mappings send as many.
const FULL: [Plan; 2] =
    [plan("one by one", 1, 720, 600, 20), plan("in groups", 99, 24_000, 20_000, 120)];
const QUICK: [Plan; 2] =
    [plan("one by one", 1, 180, 150, 6), plan("in groups", 99, 2_400, 2_000, 15)];

pub(crate) fn plans(quick: bool) -> [Plan; 2] {
    if quick { QUICK } else { FULL }
}

impl HotItem {
    pub(crate) const ALL: [Self; 2] = [Self::Sku, Self::Account];

    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Sku => Stage::INVENTORY,
            Self::Account => Stage::PAYMENT,
        }
    }

    /// The name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sku => "inventory, one SKU",
            Self::Account => "payment, one account",
        }
    }

    /// Logical id of its table in the template.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Sku => "StockTable",
            Self::Account => "AccountsTable",
        }
    }

    /// Its key: attribute and value.
    pub(crate) fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::Sku => ("sku", "HOT-ITEM"),
            Self::Account => ("customerId", "cust-hot"),
        }
    }

    /// The attribute that an order takes its unit from.
    pub(crate) fn remainder(self) -> &'static str {
        match self {
            Self::Sku => "available",
            Self::Account => "balance",
        }
    }

    /// Validated orders; one takes a unit of the hot item.
    pub(crate) fn orders(self, orders: u64, id_prefix: &str) -> Vec<Record> {
        (0..orders).map(|number| self.record(number, id_prefix)).collect()
    }

    fn record(self, number: u64, id_prefix: &str) -> Record {
        let order_id = format!("{id_prefix}-{number}");
        let event = json!({
            "eventType": "OrderValidated",
            "orderId": order_id,
            "correlationId": format!("corr-{order_id}"),
            "timestamp": "2026-02-06T12:00:00Z",
            "payload": self.payload(number),
        });
        Record {
            topic: "order.validated".to_owned(),
            partition: 0,
            offset: i64::try_from(number).unwrap_or_default(),
            timestamp_ms: 1_770_379_200_000,
            key: order_id,
            value: event.to_string().into_bytes(),
            headers: Vec::new(),
        }
    }

    fn payload(self, number: u64) -> Value {
        let (_, hot) = self.key();
        // One line for each order; more lines would make smaller groups.
        let (customer_id, sku) = match self {
            Self::Sku => (orders::customer_id(number), hot.to_owned()),
            Self::Account => (hot.to_owned(), orders::sku(number)),
        };
        json!({
            "customerId": customer_id,
            "items": [{ "sku": sku, "quantity": 1 }],
            "totalAmount": 1,
        })
    }
}

/// Distributes records to the partitions of their topic.
pub(crate) fn partitions(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut partitions = vec![Vec::new(); PARTITIONS];
    for (number, record) in records.into_iter().enumerate() {
        let partition = number % PARTITIONS;
        if let Some(records) = partitions.get_mut(partition) {
            let offset = i64::try_from(records.len()).unwrap_or_default();
            let partition = i32::try_from(partition).unwrap_or_default();
            records.push(Record { partition, offset, ..record });
        }
    }
    partitions
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_order_is_in_one_partition_and_names_the_hot_item() {
        for hot in HotItem::ALL {
            let partitions = partitions(hot.orders(100, "run"));
            assert_eq!(partitions.len(), PARTITIONS);
            let records: Vec<Record> = partitions.into_iter().flatten().collect();
            let keys: HashSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
            assert_eq!(keys.len(), 100);
            for record in &records {
                let text = String::from_utf8_lossy(&record.value);
                assert!(text.contains(hot.key().1), "{text}");
            }
        }
    }

    #[test]
    fn every_plan_sells_out() {
        for plan in FULL.iter().chain(&QUICK) {
            assert!(plan.holding < plan.orders, "{plan:?}");
        }
    }
}
