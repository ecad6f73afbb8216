//! The rest of the workflow, after the kills: every order ends, and stock and balances add up.

use std::collections::BTreeSet;

use workflow_tests::conformance::{
    delivery::Record,
    harness::Harness,
    subject::Provider,
    upstream::{AVAILABLE, BALANCE, BALANCE_CHARGED, QUANTITY},
    workflow::Workflow,
};

use crate::{run::Done, target::Trigger};

/// Delivers what the cells have published to the stages after them, and checks the ends.
pub(crate) async fn finish(harness: &Harness, workflow: &Workflow, done: &[&Done]) {
    let mut records: Vec<Record> = Vec::new();
    let mut ids = BTreeSet::new();
    for Done { cell, orders, records: published, .. } in done.iter().copied() {
        records.extend(published.iter().cloned());
        // A stage that publishes nothing shares its input with the stage that follows.
        let inputs = orders.iter().filter(|_| cell.target.subject.output.is_none());
        records.extend(inputs.map(|order| order.input.clone()));
        ids.extend(orders.iter().map(|order| order.id.clone()));
    }
    workflow.run(&records, |record| record.order_id().is_some_and(|id| ids.contains(&id))).await;
    for done in done {
        check(harness, done).await;
    }
}

async fn check(harness: &Harness, done: &Done) {
    let Done { cell, orders, .. } = done;
    let subject = &cell.target.subject;
    let fails = matches!(cell.target.trigger, Trigger::Refund | Trigger::Cancel | Trigger::Expiry)
        || !subject.has_account
        || subject.name == "close of a failed order";
    let expected = if fails { "FAILED" } else { "COMPLETED" };
    for order in orders {
        let rows = harness.rows(&order.id).await;
        let close = rows.get("close").unwrap_or_else(|| panic!("{cell}: {} is open", order.id));
        assert!(format!("{close:?}").contains(expected), "{cell}: {close:?}");
    }
    let Some(sku) = orders.first().map(|order| order.sku.as_str()) else { return };
    let sold = if fails { 0 } else { QUANTITY * orders.len() };
    for (attribute, expected) in [("available", AVAILABLE - sold), ("reserved", sold)] {
        let number = harness.number("StockTable", ("sku", sku), attribute).await;
        assert_eq!(number, expected.to_string(), "{cell}: {attribute} at the end");
    }
    let unchanged = BALANCE.to_string();
    let is_charged = !fails && subject.provider != Provider::Stripe;
    let expected = if is_charged { BALANCE_CHARGED } else { &unchanged };
    for order in orders.iter().filter(|_| subject.has_account) {
        let key = ("customerId", order.customer.as_str());
        let balance = harness.number("AccountsTable", key, "balance").await;
        assert_eq!(balance, expected, "{cell}: balance at the end");
    }
}
