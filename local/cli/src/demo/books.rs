//! The rules that must hold after a run, as one pure function.
//!
//! It returns one sentence per imbalance. None means that no order was lost, duplicated, sold twice
//! or paid twice.

use std::collections::BTreeMap;

use contracts::order::quantity_by_sku;
use contracts::{EventType, FailureCode, Money, StageName};

use super::ledger::Ledger;
use super::order_state::{Accepted, End};
use super::orders::Expected;
use crate::fixtures::holdings::{Holdings, Stock};

/// Stock held and money paid, computed from the ends of the orders.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) stock: BTreeMap<String, i128>,
    pub(crate) money: BTreeMap<String, Money>,
}

pub(crate) fn imbalances(ledger: &Ledger, before: &Holdings, after: &Holdings) -> Vec<String> {
    let mut entries = ledger.errors.clone();
    if ledger.further_errors > 0 {
        entries.push(format!("{} more errors", ledger.further_errors));
    }
    if ledger.counts.dead_lettered > 0 {
        entries.push(format!("{} dead letters on order.dead-letter", ledger.counts.dead_lettered));
    }
    entries.extend(wrong_ends(ledger));
    entries.extend(unreported_malformed_records(ledger));
    let taken = taken(ledger);
    entries.extend(wrong_stock(&taken, before, after));
    entries.extend(wrong_balances(&taken, before, after));
    entries
}

/// Every accepted order has one end, the expected one, with the posted payload.
fn wrong_ends(ledger: &Ledger) -> Vec<String> {
    let mut entries = Vec::new();
    for (order_id, order) in &ledger.orders {
        let Some(accepted) = &order.accepted else {
            entries.push(format!("order {order_id} was not posted by this run"));
            continue;
        };
        match &order.end {
            None => entries.push(format!("order {order_id} was accepted but never ended")),
            Some(end) => entries.extend(wrong_end(order_id, accepted, end)),
        }
    }
    // Sorted, so that two runs can be compared.
    entries.sort();
    entries
}

fn wrong_end(order_id: &str, accepted: &Accepted, end: &End) -> Option<String> {
    let ended = describe(end.event_type, end.code.map(|code| code.name()));
    let is_cancelled = end.code == Some(FailureCode::OrderCancelled);
    // An accepted cancellation decides the payment; an order can still fail before it.
    let must_be_cancelled = accepted.is_cancelled && !has_failed_before_payment(end);
    if is_cancelled != must_be_cancelled {
        let answer = if accepted.is_cancelled { "was" } else { "was not" };
        return Some(format!("order {order_id} {answer} cancelled, but ended with {ended}"));
    }
    match accepted.expected {
        _ if is_cancelled => {}
        Expected::End(event_type, code) if (event_type, code) != (end.event_type, end.code) => {
            let expected = describe(event_type, code.map(|code| code.name()));
            return Some(format!("order {order_id} ended with {ended} instead of {expected}"));
        }
        Expected::Rejected => {
            return Some(format!(
                "order {order_id} was accepted, but its body is not a JSON object"
            ));
        }
        Expected::End(..) | Expected::Anything => {}
    }
    let (content, posted) = (end.content.as_ref()?, accepted.content.as_ref()?);
    let differences = content.differences(posted);
    (!differences.is_empty()).then(|| {
        let differences = differences.join("; ");
        format!("order {order_id}: the payload of {ended} is not that posted: {differences}")
    })
}

fn has_failed_before_payment(end: &End) -> bool {
    end.event_type.published_by() < StageName::Payment
}

fn describe(event_type: EventType, code: Option<&str>) -> String {
    code.map_or_else(|| event_type.to_string(), |code| format!("{event_type} ({code})"))
}

/// Every malformed record is reported once, with its code. No other record is reported.
fn unreported_malformed_records(ledger: &Ledger) -> Vec<String> {
    let mut entries = Vec::new();
    let mut reported = 0_usize;
    for (key, sent) in &ledger.malformed_records.sent {
        let Some(expected) = sent.topic.malformed_failure() else { continue };
        if sent.positions.is_empty() {
            entries.push(format!("the malformed record {key} is not on {}", sent.topic));
        }
        for position in &sent.positions {
            let Some(report) = ledger.malformed_records.reports.get(position) else {
                entries.push(format!("the malformed record {key} was not reported"));
                continue;
            };
            reported += 1;
            if (report.event_type, report.code) != (expected, sent.code) {
                let reported = describe(report.event_type, Some(report.code.name()));
                entries.push(format!("the malformed record {key} was reported as {reported}"));
            }
        }
    }
    entries.sort();
    let unexpected = ledger.malformed_records.reports.len().saturating_sub(reported);
    if unexpected > 0 {
        entries.push(format!("{unexpected} records of other producers were reported as malformed"));
    }
    entries
}

/// Computes the stock held and money paid. An order that failed before or at its payment holds and
/// pays nothing.
pub(crate) fn taken(ledger: &Ledger) -> Taken {
    let mut taken = Taken::default();
    for order in ledger.orders.values() {
        let (Some(accepted), Some(end)) = (&order.accepted, &order.end) else { continue };
        // Whatever ends an order after its payment, the order stays paid.
        if end.event_type.published_by() <= StageName::Payment {
            continue;
        }
        for (sku, quantity) in quantity_by_sku(&accepted.items) {
            *taken.stock.entry(sku.to_owned()).or_default() += i128::from(quantity);
        }
        if let Some(customer_id) = &accepted.customer_id {
            let sum = taken.money.entry(customer_id.clone()).or_default();
            *sum = sum.checked_add(accepted.amount).unwrap_or(*sum);
        }
    }
    taken
}

fn wrong_stock(taken: &Taken, before: &Holdings, after: &Holdings) -> Vec<String> {
    let mut entries = Vec::new();
    for sku in
        before.stock.keys().chain(after.stock.keys().filter(|sku| !before.stock.contains_key(*sku)))
    {
        let old = before.stock.get(sku).copied().unwrap_or_default();
        let Stock { available, reserved } = after.stock.get(sku).copied().unwrap_or_default();
        let (total, old_total) = (available + reserved, old.available + old.reserved);
        if total != old_total {
            entries.push(format!("{sku}: available + reserved was {old_total} and is {total}"));
        }
        if available < 0 {
            entries.push(format!("{sku}: available is {available}, which is negative"));
        }
        let held = taken.stock.get(sku).copied().unwrap_or_default();
        if reserved - old.reserved != held {
            let risen = reserved - old.reserved;
            entries.push(format!("{sku}: reserved rose by {risen}, but the orders hold {held}"));
        }
    }
    for sku in taken.stock.keys().filter(|sku| !after.stock.contains_key(*sku)) {
        entries.push(format!("{sku}: held by orders, but not in the stock table"));
    }
    entries
}

fn wrong_balances(taken: &Taken, before: &Holdings, after: &Holdings) -> Vec<String> {
    let mut entries = Vec::new();
    for (customer_id, old) in &before.accounts {
        let new = after.accounts.get(customer_id).copied().unwrap_or_default();
        let cost = taken.money.get(customer_id).copied().unwrap_or_default();
        if old.checked_sub(cost) != Some(new) {
            entries.push(format!(
                "{customer_id}: the balance was {old}, the orders cost {cost}, but it is {new}"
            ));
        }
    }
    for customer_id in taken.money.keys().filter(|id| !before.accounts.contains_key(*id)) {
        entries.push(format!("{customer_id}: an order was paid, but the account does not exist"));
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use contracts::{JsonObject, Topic};
    use serde_json::{Value, json};

    use super::super::malformed_records::MalformedRecord;
    use super::super::order_state::Record;
    use super::super::orders::{Kind, Order, Repeat};
    use super::super::schemas::{Schemas, tests::event};
    use super::*;
    use crate::fixtures::digest;

    /// A ledger, with the holdings before and after the run.
    struct Run {
        ledger: Ledger,
        offset: i64,
        before: Holdings,
        after: Holdings,
    }

    fn order() -> JsonObject {
        let order = json!({
            "customerId": "ann", "items": [{ "sku": "TEA", "quantity": 2 }], "totalAmount": 9.00,
            "note": "für Zoë",
        });
        order.as_object().unwrap().clone()
    }

    fn holdings(available: i128, reserved: i128, balance: &str) -> Holdings {
        let stock = [("TEA".to_owned(), Stock { available, reserved })];
        let accounts = [("ann".to_owned(), Money::from_text(balance).unwrap())];
        Holdings { stock: stock.into(), accounts: accounts.into() }
    }

    impl Run {
        /// One good order and one malformed record, both handled correctly.
        fn balanced() -> Self {
            let mut run = Self {
                ledger: Ledger::new(Schemas::compile().unwrap()),
                offset: 0,
                before: holdings(10, 0, "100"),
                after: holdings(8, 2, "91"),
            };
            run.accept("ord-1", Kind::Good);
            run.complete("ord-1", &order().into());
            let sent = MalformedRecord {
                topic: Topic::OrderCreated,
                code: FailureCode::MalformedEvent,
                positions: BTreeSet::new(),
            };
            run.ledger.malformed_records.sent.insert("malformed-1".to_owned(), sent);
            let offset = run.offset;
            run.observe(Topic::OrderCreated, "malformed-1", b"not JSON");
            run.report("malformed-1", offset, "it is not JSON");
            run
        }

        fn accept(&mut self, order_id: &str, kind: Kind) {
            let order = Order::new(kind, Repeat::Nothing, &order());
            self.ledger.accept(order_id, &order, Some(Instant::now()), 1);
        }

        fn observe(&mut self, topic: Topic, key: &str, value: &[u8]) {
            let (topic, key, value) = (topic.name(), Some(key.as_bytes()), Some(value));
            let record = Record { topic, partition: 0, offset: self.offset, key, value };
            self.offset += 1;
            self.ledger.observe(&record, Instant::now());
        }

        fn complete(&mut self, order_id: &str, payload: &Value) {
            let value = event(EventType::OrderCompleted, order_id, payload);
            self.observe(Topic::OrderCompleted, order_id, &value);
        }

        fn fail(&mut self, order_id: &str, event_type: EventType, reason: &str) {
            let payload = json!({ "originalPayload": order(), "failureReason": reason });
            self.observe(Topic::OrderFailed, order_id, &event(event_type, order_id, &payload));
        }

        fn report(&mut self, key: &str, offset: i64, why: &str) {
            let payload = json!({
                "failureReason": format!("MALFORMED_EVENT: {why}"),
                "stage": "validator",
                "source": { "topic": "order.created", "partition": 0, "offset": offset },
                "malformed": true,
            });
            let value = event(EventType::OrderValidationFailed, key, &payload);
            self.observe(Topic::OrderFailed, key, &value);
        }

        /// The only imbalance.
        fn imbalance(&self) -> String {
            let entries = imbalances(&self.ledger, &self.before, &self.after);
            assert_eq!(entries.len(), 1, "{entries:?}");
            entries.concat()
        }
    }

    #[test]
    fn a_correct_run_balances() {
        let run = Run::balanced();
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
    }

    #[test]
    fn a_duplicate_event_balances() {
        let mut run = Run::balanced();
        run.complete("ord-1", &order().into());
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
        assert_eq!(run.ledger.counts.repeated, 1);
        assert_eq!(run.ledger.counts.ended, 1);
    }

    #[test]
    fn a_lost_order_is_found() {
        let mut run = Run::balanced();
        run.accept("ord-2", Kind::Good);
        assert_eq!(run.imbalance(), "order ord-2 was accepted but never ended");
    }

    #[test]
    fn an_order_that_was_not_posted_is_found() {
        let mut run = Run::balanced();
        let value = event(EventType::OrderCreated, "ord-2", &order().into());
        run.observe(Topic::OrderCreated, "ord-2", &value);
        assert!(run.imbalance().contains("was not posted by this run"));
    }

    #[test]
    fn an_order_whose_client_has_gone_counts_from_its_first_event_on() {
        let mut run = Run::balanced();
        let order = Order::new(Kind::Invalid, Repeat::Nothing, &order());
        // The correlation id of the test's events.
        run.ledger.expect("corr-1".to_owned(), order);
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
        run.fail("ord-2", EventType::OrderValidationFailed, "VALIDATION_FAILED: no");
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
        assert_eq!((run.ledger.counts.accepted, run.ledger.counts.ended), (2, 2));
    }

    #[test]
    fn a_forged_event_is_no_event_of_its_order() {
        let mut run = Run::balanced();
        let value = event(EventType::OrderPaymentFailed, "ord-1", &json!({ "forged": true }));
        run.ledger.forged.expect(digest(&Some(value.as_slice())));
        run.observe(Topic::OrderFailed, "ord-1", &value);
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
        assert_eq!(run.ledger.forged.positions["ord-1"].len(), 1);
    }

    #[test]
    fn a_second_end_with_other_content_is_found() {
        let mut run = Run::balanced();
        let mut other = order();
        other.insert("paymentId".to_owned(), "pay-2".into());
        run.complete("ord-1", &other.into());
        assert!(run.imbalance().contains("two different events on order.completed"));
    }

    #[test]
    fn an_order_that_both_completes_and_fails_is_found() {
        let mut run = Run::balanced();
        run.fail("ord-1", EventType::OrderPaymentFailed, "PAYMENT_DECLINED: no");
        assert!(run.imbalance().contains("ended twice"));
    }

    #[test]
    fn a_wrong_end_is_found() {
        let mut run = Run::balanced();
        run.accept("ord-2", Kind::OutOfStock);
        run.fail("ord-2", EventType::OrderInventoryFailed, "UNKNOWN_SKU: TEA");
        assert!(run.imbalance().ends_with(
            "ended with OrderInventoryFailed (UNKNOWN_SKU) \
             instead of OrderInventoryFailed (OUT_OF_STOCK)"
        ));
    }

    #[test]
    fn an_order_ends_cancelled_exactly_if_its_cancellation_was_accepted() {
        let cancelled = "ORDER_CANCELLED: cancelled before payment";
        let mut run = Run::balanced();
        run.accept("ord-2", Kind::Good);
        run.fail("ord-2", EventType::OrderPaymentFailed, cancelled);
        assert!(run.imbalance().contains("ord-2 was not cancelled, but ended with"));
        run.ledger.cancel("ord-2");
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
        // An order that fails before its payment does not end as cancelled.
        run.accept("ord-3", Kind::OutOfStock);
        run.ledger.cancel("ord-3");
        run.fail("ord-3", EventType::OrderInventoryFailed, "OUT_OF_STOCK: TEA");
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
        run.ledger.cancel("ord-1");
        assert!(run.imbalance().contains("ord-1 was cancelled, but ended with OrderCompleted"));
    }

    #[test]
    fn a_payload_that_changed_on_the_way_is_found() {
        let mut run = Run::balanced();
        run.ledger.orders.clear();
        run.accept("ord-1", Kind::Good);
        let mut changed = order();
        changed.insert("totalAmount".to_owned(), 8.into());
        changed.insert("shipmentId".to_owned(), "ship-1".into());
        changed.shift_remove("note");
        run.complete("ord-1", &changed.into());
        assert_eq!(
            run.imbalance(),
            "order ord-1: the payload of OrderCompleted is not that posted: \
             field \"note\" is missing; field \"totalAmount\" differs; \
             field \"shipmentId\" is unknown (a stage that adds it names it in `adds` of STAGES)"
        );
    }

    #[test]
    fn stock_that_is_off_by_one_is_found() {
        let mut run = Run::balanced();
        run.after = holdings(7, 2, "91");
        assert_eq!(run.imbalance(), "TEA: available + reserved was 10 and is 9");
        run.after = holdings(7, 3, "91");
        assert_eq!(run.imbalance(), "TEA: reserved rose by 3, but the orders hold 2");
    }

    #[test]
    fn negative_stock_is_found() {
        let mut run = Run::balanced();
        run.before = holdings(1, 0, "100");
        run.after = holdings(-1, 2, "91");
        assert_eq!(run.imbalance(), "TEA: available is -1, which is negative");
    }

    #[test]
    fn a_cent_that_is_missing_is_found() {
        let mut run = Run::balanced();
        run.after = holdings(8, 2, "90.99");
        assert!(run.imbalance().contains("the orders cost 9, but it is 90.99"));
    }

    #[test]
    fn an_order_that_failed_after_its_payment_keeps_stock_and_money() {
        let mut run = Run::balanced();
        run.ledger.orders.clear();
        run.accept("ord-1", Kind::Listed);
        run.fail("ord-1", EventType::OrderNotificationFailed, "NOTIFICATION_FAILED: no");
        assert_eq!(imbalances(&run.ledger, &run.before, &run.after), Vec::<String>::new());
    }

    #[test]
    fn an_event_that_breaks_its_schema_is_found() {
        let mut run = Run::balanced();
        run.observe(
            Topic::OrderValidated,
            "ord-1",
            &event(EventType::OrderValidated, "ord-1", &json!({ "customerId": "ann" })),
        );
        assert!(run.imbalance().contains("breaks the contract"));
    }

    #[test]
    fn a_malformed_record_that_is_not_reported_is_found() {
        let mut run = Run::balanced();
        run.ledger.malformed_records.reports.clear();
        assert_eq!(run.imbalance(), "the malformed record malformed-1 was not reported");
    }

    #[test]
    fn a_malformed_record_that_is_reported_twice_is_found() {
        let mut run = Run::balanced();
        run.report("malformed-1", 1, "it is not JSON, reported again");
        assert!(run.imbalance().ends_with("was reported twice"));
    }

    #[test]
    fn a_report_of_a_record_that_the_demo_did_not_send_is_found() {
        let mut run = Run::balanced();
        run.report("ord-1", 4711, "it is not JSON");
        assert!(run.imbalance().contains("records of other producers"));
    }

    #[test]
    fn a_dead_letter_is_found() {
        let mut run = Run::balanced();
        let topic = "order.dead-letter";
        let record = Record { topic, partition: 0, offset: 0, key: None, value: None };
        run.ledger.observe(&record, Instant::now());
        assert!(run.imbalance().contains("order.dead-letter"));
    }
}
