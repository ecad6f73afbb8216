//! The situations, each for one stage.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::sleep;

use workflow_tests::conformance::{
    case::{Case, TIMEOUT, events},
    delivery::{Batch, CONFLICT, Record},
    process::Process,
    subject::Provider,
    upstream::Order,
};

/// Throttled inserts for each order.
const THROTTLES: usize = 3;

/// Redelivers the batch to the same process and to another one.
pub(crate) async fn delivered_again(case: Arc<Case>) {
    let (process, batch) = (case.process(TIMEOUT).await, case.whole_batch());
    process.succeed(&batch).await;
    let rows = case.rows().await;
    process.succeed(&batch).await;
    case.process(TIMEOUT).await.succeed(&batch).await;
    assert_eq!(case.rows().await, rows, "rows after the redelivery");
    case.check(1..=1).await;
    let records = case.published().await;
    for order in case.orders.iter().filter(|_| case.subject.output.is_some()) {
        assert_eq!(events(order, &records).len(), 3, "events of 3 deliveries");
    }
}

/// Delivers two batches that share half of their orders to two processes at the same time.
pub(crate) async fn two_processes_at_once(case: Arc<Case>) {
    let inputs: Vec<_> = case.orders.iter().map(|order| &order.input).collect();
    let (first, second) = (case.batch(&[&inputs[..4]]), case.batch(&[&inputs[2..]]));
    let one = case.process(TIMEOUT).await;
    let other = case.process(TIMEOUT).await;
    tokio::join!(one.succeed(&first), other.succeed(&second));
    // Both may call Stripe before either has stored its row. Stripe responds with 409 to one of
    // them and charges once, which is checked for any number of requests.
    let at_most = if case.subject.provider == Provider::Stripe { usize::MAX } else { 2 };
    case.check(1..=at_most).await;
    for order in [0, 1, 4, 5].map(|index| &case.orders[index]) {
        case.check_calls(order, &(1..=1));
    }
}

/// Throttles the request with the insert, several times for each order.
pub(crate) async fn throttled_request(case: Arc<Case>) {
    let texts = case.orders.iter().map(|order| case.row_texts(order));
    for [order, stage] in texts.flat_map(|texts| vec![texts; THROTTLES]) {
        case.proxy.throttle(&[&order, &stage]);
    }
    one_invocation_despite_faults(&case).await;
}

/// Throttles the insert but not the others of its batch, several times for each order.
pub(crate) async fn throttled_item(case: Arc<Case>) {
    let texts = case.orders.iter().map(|order| case.row_texts(order));
    for [order, stage] in texts.flat_map(|texts| vec![texts; THROTTLES]) {
        case.proxy.throttle_item(&[&order, &stage]);
    }
    one_invocation_despite_faults(&case).await;
}

/// Executes the insert, but responds with a server error.
pub(crate) async fn lost_response(case: Arc<Case>) {
    for [order, stage] in case.orders.iter().map(|order| case.row_texts(order)) {
        case.proxy.lose_response(&[&order, &stage]);
    }
    one_invocation_despite_faults(&case).await;
}

/// Executes the insert, then cuts its connection before the response.
pub(crate) async fn cut_response(case: Arc<Case>) {
    for [order, stage] in case.orders.iter().map(|order| case.row_texts(order)) {
        case.proxy.cut_response(&[&order, &stage]);
    }
    one_invocation_despite_faults(&case).await;
}

async fn one_invocation_despite_faults(case: &Case) {
    case.process(TIMEOUT).await.succeed(&case.whole_batch()).await;
    assert_eq!(case.proxy.faults_left(), 0, "faults without a write");
    case.check(1..=1).await;
}

/// The broker is unavailable during the invocation, and available for the redelivery.
pub(crate) async fn broker_unavailable(case: Arc<Case>) {
    let (process, batch) = (case.process(TIMEOUT).await, case.whole_batch());
    case.take_broker_away();
    let failures = process.deliver(&batch).await;
    let is_publisher = case.subject.output.is_some();
    assert!(!is_publisher || failures != Ok(BTreeSet::new()), "success without a broker");
    case.bring_broker_back();
    process.redeliver(&batch).await;
    case.check(1..=1).await;
}

/// A batch of valid orders, a malformed record, and an order that is always throttled.
pub(crate) async fn faults_beside_valid_orders(case: Arc<Case>) {
    // The throttled order is tried again until half of the time has passed.
    const DEADLINE: Duration = Duration::from_secs(30);
    let [a, b, throttled, c] = &case.orders[..] else { panic!("four orders") };
    let malformed = Record::malformed(case.subject.input);
    let second = [&throttled.input, &c.input];
    let batch = case.batch(&[&[&a.input, &malformed, &b.input], &second]);
    let process = case.process(DEADLINE).await;
    let [order, stage] = case.row_texts(throttled);
    case.proxy.keep_throttling_item(&[&order, &stage]);

    let good = [a, b, c];
    let delivery = process.deliver(&batch);
    tokio::pin!(delivery);
    tokio::select! {
        failures = &mut delivery => panic!("delayed by a throttled order: {failures:?}"),
        () = until_handled(&case, &good) => {}
    }
    let failures = delivery.await;
    let failures = failures.unwrap_or_else(|error| panic!("the invocation fails: {error}"));
    assert!(failures.contains(&(1, 0)), "the throttled order is not reported: {failures:?}");
    let may_fail = |place: &(usize, usize)| place.0 == 1;
    assert!(failures.iter().all(may_fail), "valid records are reported: {failures:?}");

    case.proxy.clear_faults();
    process.redeliver(&case.batch(&[&[], &second])).await;
    // The throttled order may cause one call in each invocation.
    case.check(1..=2).await;
    for order in good {
        case.check_calls(order, &(1..=1));
    }
}

/// Waits until each order has its event (its row, if the stage publishes nothing) and the malformed
/// record its report.
async fn until_handled(case: &Case, orders: &[&Order]) {
    loop {
        let records = case.published().await;
        // A malformed record of the topic with the reports is not reported.
        let has_report = records.iter().any(|record| record.topic == "order.failed");
        let mut are_handled = has_report || case.subject.input == "order.failed";
        for order in orders {
            are_handled &= match case.subject.output {
                Some(_) => !events(order, &records).is_empty(),
                None => case.row(order).await.is_some(),
            };
        }
        if are_handled {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Delivers the batch to a process and kills it after the insert of the first order.
async fn killed_amid_delivery(case: &Case) -> (Process, Batch) {
    let (process, batch) = (case.process(TIMEOUT).await, case.whole_batch());
    let [order, stage] = case.row_texts(&case.orders[0]);
    let mut held = case.proxy.hold_response(&[&order, &stage]);
    let kill = async {
        assert!(held.executed().await);
        process.kill().await;
    };
    let (killed, ()) = tokio::join!(process.deliver(&batch), kill);
    assert!(killed.is_err(), "the killed process has responded: {killed:?}");
    drop(held);
    (process, batch)
}

/// Kills the process after the insert and before its response.
pub(crate) async fn killed_after_insert(case: Arc<Case>) {
    let (process, batch) = killed_amid_delivery(&case).await;
    let rows = case.rows().await;
    assert_eq!(case.published().await, [], "published before the kill");
    process.succeed(&batch).await;
    assert_eq!(case.rows().await, rows, "rows after the redelivery");
    case.check(1..=1).await;
}

/// Kills the process after the insert of one of several orders and before its response.
///
/// The provider may be called once more for an order whose insert was pending.
pub(crate) async fn group_killed_after_insert(case: Arc<Case>) {
    let (process, batch) = killed_amid_delivery(&case).await;
    let stored = case.rows().await;
    process.succeed(&batch).await;
    let rows = case.rows().await;
    let is_kept = stored.iter().all(|(key, row)| rows.get(key) == Some(row));
    assert!(is_kept, "a stored row has changed: {stored:?} {rows:?}");
    case.check(1..=2).await;
}

/// Delivers a record twice, and then another event of the same order.
pub(crate) async fn conflicting_duplicate(case: Arc<Case>) {
    let input = &case.orders[0].input;
    let conflicting = input.conflicting();
    let process: Process = case.process(TIMEOUT).await;
    process.succeed(&case.batch(&[&[input, input, &conflicting]])).await;
    let rows = case.rows().await;
    let stored = format!("{rows:?}");
    assert!(!CONFLICT.iter().any(|it| stored.contains(it)), "the last record decides: {stored}");
    process.succeed(&case.batch(&[&[&conflicting]])).await;
    assert_eq!(case.rows().await, rows, "rows after the conflicting duplicate");
    case.check(1..=1).await;
}
