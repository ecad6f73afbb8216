//! The order of a cell, by what the tables say of it.

use std::collections::BTreeMap;

use contracts::{EventType, StageName};
use engine::{Row, RowBody, row::Item};
use serde_json::Value;
use workflow_tests::stages::Stages;

use super::cell::Cell;

/// The items of all tables.
pub(super) struct Tables {
    rows: BTreeMap<String, BTreeMap<StageName, Row>>,
    stock: BTreeMap<String, Item>,
    accounts: BTreeMap<String, Item>,
}

/// The state of one order in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Each stage that has a row, with the event in it.
    pub(super) rows: Vec<(StageName, Option<EventType>)>,
    /// Reserved, and missing from `available`, of the order's own SKU and of the other one.
    pub(super) reserved: [(i64, i64); 2],
    /// Taken from the order's own customer and from the other one.
    pub(super) charged: [i64; 2],
    pub(super) status: Option<String>,
    pub(super) failed_stage: Option<String>,
}

impl Snapshot {
    /// The same with this event in the row of a stage.
    pub(super) fn with(mut self, stage: StageName, event_type: EventType) -> Self {
        for row in self.rows.iter_mut().filter(|(it, _)| *it == stage) {
            row.1 = Some(event_type);
        }
        self
    }

    /// The same, failed by a stage.
    pub(super) fn failed(&self, stage: StageName) -> Self {
        Self {
            status: Some("FAILED".to_owned()),
            failed_stage: Some(stage.name().to_owned()),
            ..self.clone()
        }
    }
}

impl Tables {
    pub(super) async fn read(stages: &Stages) -> Self {
        let mut rows: BTreeMap<String, BTreeMap<StageName, Row>> = BTreeMap::new();
        for item in stages.scan("OrdersTable").await {
            let (key, row) = Row::from_item(&item);
            let key = key.expect("a key");
            rows.entry(key.id).or_default().insert(key.stage, row.expect("a readable row"));
        }
        Self {
            rows,
            stock: stages.items("StockTable", "sku").await,
            accounts: stages.items("AccountsTable", "customerId").await,
        }
    }

    /// The rows of the order.
    pub(super) fn rows(&self, cell: &Cell) -> Option<&BTreeMap<StageName, Row>> {
        self.rows.get(&cell.order_id())
    }

    pub(super) fn number_of_rows(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }

    /// True if a stage has a row about the order.
    pub(super) fn has(&self, cell: &Cell, stage: StageName) -> bool {
        self.rows(cell).is_some_and(|rows| rows.contains_key(&stage))
    }

    /// The stored events of this type that some stage has not decided about.
    pub(super) fn open(&self, cells: &[Cell], event_type: EventType) -> Vec<String> {
        let is_open = |cell: &&Cell| {
            let mut consumers = StageName::ALL.iter().filter(|it| it.spec().is_for(event_type));
            consumers.any(|stage| !self.has(cell, *stage))
        };
        let open = cells.iter().filter(is_open);
        open.filter_map(|cell| self.stored_of(cell, event_type)).collect()
    }

    /// The stored event of this type about the order.
    pub(super) fn stored_of(&self, cell: &Cell, event_type: EventType) -> Option<String> {
        match &self.rows(cell)?.get(&event_type.published_by())?.body {
            RowBody::Event(event) if event.event_type == event_type => Some(event.body.clone()),
            RowBody::Event(_) | RowBody::Data(_) => None,
        }
    }

    pub(super) fn of(&self, cell: &Cell) -> Snapshot {
        let empty = BTreeMap::new();
        let rows = self.rows(cell).unwrap_or(&empty);
        let number = |item: &Item, name: &str| -> i64 {
            item.get(name).map_or(0, |value| value.as_n().expect("a number").parse().unwrap())
        };
        let reserved = [cell.sku(), cell.other_sku()].map(|sku| {
            let item = &self.stock[&sku];
            (number(item, "reserved"), Cell::AVAILABLE - number(item, "available"))
        });
        let charged = [cell.customer(), cell.other_customer()];
        let charged = charged
            .map(|it| self.accounts.get(&it).map_or(0, |it| Cell::BALANCE - number(it, "balance")));
        let closed = rows.get(&StageName::Close).map(|row| match &row.body {
            RowBody::Data(json) => serde_json::from_str::<Value>(json).unwrap(),
            RowBody::Event(event) => panic!("the close has published {event:?}"),
        });
        let text = |name: &str| Some(closed.as_ref()?[name].as_str()?.to_owned());
        let event_type = |row: &Row| match &row.body {
            RowBody::Event(event) => Some(event.event_type),
            RowBody::Data(_) => None,
        };
        Snapshot {
            rows: rows.iter().map(|(stage, row)| (*stage, event_type(row))).collect(),
            reserved,
            charged,
            status: text("status"),
            failed_stage: text("failedStage"),
        }
    }
}
