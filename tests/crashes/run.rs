//! One cell: deliver, be killed, deliver again to another process, check the books.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use contracts::order_id::ORDER_ID_PREFIX;
use engine::{Digest, failpoint::Point};
use tokio::time::sleep;
use workflow_tests::conformance::{
    case::{Case, TIMEOUT},
    delivery::Record,
    harness::Harness,
    process::Process,
    subject::Provider,
    upstream::{Lot, Order, post_event},
    workflow::order_id,
};

use crate::{
    cell::{Cell, Shape},
    request::{cancel_event, key, schedule_event},
    target::Trigger,
};

pub(crate) struct Run {
    pub(crate) cell: Cell,
    pub(crate) case: Case,
}

/// A cell whose books balance after the redelivery; what follows from its records is still to come.
pub(crate) struct Done {
    pub(crate) cell: Cell,
    pub(crate) orders: Vec<Order>,
    pub(crate) records: Vec<Record>,
    pub(crate) summary: String,
}

impl Run {
    /// `orders` are those that wait for the stage; an intake makes its own.
    pub(crate) async fn new(
        harness: Arc<Harness>,
        cell: Cell,
        lot: &Lot,
        mut orders: Vec<Order>,
    ) -> Self {
        if cell.target.trigger == Trigger::Intake {
            lot.prepare(&harness).await;
            let of_customer = |customer: String| Order {
                id: format!("{ORDER_ID_PREFIX}{}", Digest::of(key(&customer).as_bytes())),
                sku: lot.sku(),
                input: Record::malformed(cell.target.subject.input),
                customer,
            };
            orders = lot.customers().into_iter().map(of_customer).collect();
        }
        Self { cell, case: Case::new(harness, cell.target.subject, orders).await }
    }

    pub(crate) async fn execute(self) -> Done {
        let Self { cell, case } = &self;
        self.set_up().await;
        let process = self.process(&cell.failpoints()).await;
        let killed = self.deliver(&process).await;
        let error = killed.expect_err("the process was not killed");
        assert!(error.contains("signal: killed"), "not killed: {error}");
        let log = process.log();
        assert!(log.contains(&format!("killed at {}\n", cell.point)), "killed elsewhere: {log}");
        let (rows, events) = self.check_kill().await;

        case.proxy.clear_faults();
        let process = self.process("").await;
        let stored = case.rows().await;
        self.deliver(&process).await.expect("the redelivery succeeds");
        let now = case.rows().await;
        let is_kept = stored.iter().all(|(key, row)| now.get(key) == Some(row));
        assert!(is_kept, "a stored row has changed: {stored:?} {now:?}");
        case.check(self.calls()).await;
        let records = case.published().await;
        for order in case.orders.iter().filter(|_| cell.target.trigger == Trigger::Refund) {
            assert_eq!(case.stripe.refunds(&order.id), 1, "{}: refunds", order.id);
        }
        let summary = format!(
            "killed with {rows} of {} rows and {events} events; then {} events",
            case.orders.len(),
            records.len()
        );
        Done { cell: *cell, orders: self.case.orders, records, summary }
    }

    async fn set_up(&self) {
        let Self { cell, case } = self;
        if cell.shape == Shape::Group {
            let [order, stage] = case.row_texts(&case.orders[2]);
            if cell.target.has_effects() {
                case.proxy.keep_throttling_item(&[&order, &stage]);
            } else {
                case.proxy.throttle_item(&[&order, &stage]);
            }
        }
        if cell.target.trigger == Trigger::Refund {
            self.charge_and_cancel().await;
        }
        if cell.is_redelivered() {
            let process = self.process("").await;
            self.deliver(&process).await.expect("the first delivery succeeds");
        }
    }

    /// Charges the orders, kills the process before it stores a row, and cancels the orders.
    pub(crate) async fn charge_and_cancel(&self) {
        let Self { case, .. } = self;
        for [order, stage] in case.orders.iter().map(|order| case.row_texts(order)) {
            case.proxy.keep_throttling_item(&[&order, &stage]);
        }
        let process = self.process("").await;
        let kill = async {
            while case.orders.iter().any(|order| case.stripe.charges(&order.id).is_empty()) {
                sleep(Duration::from_millis(5)).await;
            }
            process.kill().await;
        };
        let (killed, ()) = tokio::join!(self.deliver(&process), kill);
        killed.expect_err("the process was not killed");
        case.proxy.clear_faults();
        // Its events have no trace, so they are not among those of the payment.
        let broker = self.case.harness.broker().await;
        let servers = (&broker, self.case.harness.database.endpoint());
        let api = self.case.harness.function("order-api", servers, &[], TIMEOUT);
        let api = Process::start(api).await;
        for order in &case.orders {
            let response = api.invoke(&cancel_event(order)).await.expect("order-api responds");
            assert_eq!(order_id(&response), order.id);
        }
    }

    pub(crate) async fn process(&self, failpoints: &str) -> Process {
        let mut settings = vec![("FAILPOINTS", failpoints.to_owned())];
        if self.cell.target.trigger == Trigger::Expiry {
            settings.extend([
                ("ORDER_EXPIRES_AFTER_SECONDS", "1".to_owned()),
                // At the last age, the refunds of other cells' orders would be repeated.
                ("RECOVERY_AGES_SECONDS", "1,86400".to_owned()),
                ("RECOVERY_WINDOW_SECONDS", "3600".to_owned()),
            ]);
        }
        self.case.process_with(TIMEOUT, &settings).await
    }

    /// Delivers all orders.
    ///
    /// # Errors
    /// The first error of the function.
    pub(crate) async fn deliver(&self, process: &Process) -> Result<(), String> {
        let Self { cell, case } = self;
        match cell.target.trigger {
            Trigger::Batch | Trigger::Refund => {
                let failures = process.deliver(&case.whole_batch()).await?;
                assert!(failures.is_empty(), "failed records (partition, index): {failures:?}");
            }
            Trigger::Intake => {
                for order in &case.orders {
                    let key = key(&order.customer);
                    let event = post_event(&order.customer, &order.sku, Some(&key));
                    assert_eq!(order_id(&process.invoke(&event).await?), order.id);
                }
            }
            Trigger::Cancel => {
                for order in &case.orders {
                    let response = process.invoke(&cancel_event(order)).await?;
                    assert_eq!(order_id(&response), order.id);
                }
            }
            Trigger::Recovery | Trigger::Expiry => {
                let counts = process.invoke(&schedule_event(cell.target.trigger)).await?;
                assert_eq!(counts[0]["published"], case.orders.len(), "{counts}");
            }
        }
        Ok(())
    }

    /// Checks what the kill has left; returns the numbers of the stage's rows and of its events.
    async fn check_kill(&self) -> (usize, usize) {
        let Self { cell, case } = self;
        let rows = case.rows().await;
        let rows = rows.keys().filter(|(_, stage)| stage == case.subject.stage).count();
        let events = case.published().await.len();
        if let Some(expected) = cell.rows_at_kill() {
            assert_eq!(rows, expected, "rows after the kill");
        }
        if let Some(expected) = cell.events_at_kill() {
            assert_eq!(events, expected, "events after the kill");
        }
        (rows, events)
    }

    /// The provider calls for each order, the redelivery included.
    fn calls(&self) -> RangeInclusive<usize> {
        let Self { cell, case } = self;
        match (cell.shape, case.subject.provider) {
            (Shape::Single, _) if cell.target.trigger == Trigger::Batch => {
                let before = usize::from(cell.point >= Point::AfterCall);
                let again = usize::from(cell.rows_at_kill() == Some(0));
                before + again..=before + again
            }
            // A charge that is still under way is asked about until it is done.
            (_, Provider::Stripe) => 1..=usize::MAX,
            _ => 1..=2,
        }
    }
}
