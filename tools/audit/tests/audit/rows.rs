//! Rows of orders as the stages write them.

use contracts::{
    EventType, Failure, FailureCode, FailureReason, Fields, Object, OrderId, StageName, StoredEvent,
};
use engine::{Digest, Row, RowBody, RowKey};
use jiff::{SignedDuration, Timestamp};

const ROW_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// An order: one line of one SKU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) id: &'a str,
    pub(crate) customer: &'a str,
    pub(crate) sku: &'a str,
    pub(crate) amount: &'a str,
    pub(crate) at: Timestamp,
}

impl Sample<'_> {
    fn payload(&self) -> String {
        let Self { customer, sku, amount, .. } = self;
        format!(
            r#"{{"customerId":"{customer}","items":[{{"sku":"{sku}","quantity":1}}],"totalAmount":{amount}}}"#
        )
    }

    pub(crate) fn event(&self, event_type: EventType, payload: &str) -> StoredEvent {
        let id = OrderId::parse(self.id).unwrap();
        StoredEvent::new(event_type, &id, "corr-1", self.at, payload)
    }

    pub(crate) fn row(&self, stage: StageName, body: RowBody, decided_on: &str) -> Row {
        Row {
            key: RowKey { id: self.id.to_owned(), stage },
            body,
            digest: Digest::of(decided_on.as_bytes()),
            expires_at: (self.at + ROW_TTL).as_second(),
            customer_index: None,
        }
    }

    fn decided(&self, event_type: EventType, payload: &str, decided_on: &str) -> Row {
        let event = RowBody::Event(self.event(event_type, payload));
        self.row(event_type.published_by(), event, decided_on)
    }

    /// The rows up to the reservation, and its payload.
    fn reserved(&self) -> (Vec<Row>, String) {
        let sent = self.payload();
        let reserved = with(&sent, "reservationId", &format!("res-{}", self.id));
        let rows = vec![
            self.decided(EventType::OrderCreated, &sent, &sent),
            self.decided(EventType::OrderValidated, &sent, &sent),
            self.decided(EventType::InventoryReserved, &reserved, &sent),
        ];
        (rows, reserved)
    }

    /// The rows of an order that was cancelled after its reservation.
    pub(crate) fn cancelled(&self) -> Vec<Row> {
        let (mut rows, reserved) = self.reserved();
        let failed = self.failure(StageName::Payment, &reserved);
        let mut early = self.decided(EventType::OrderPaymentFailed, &failed, &reserved);
        early.digest = Digest::NONE;
        rows.push(early);
        rows
    }

    /// The rows of an order that was paid and completed.
    pub(crate) fn completed(&self, payment_id: &str) -> Vec<Row> {
        let (mut rows, reserved) = self.reserved();
        let paid = with(&reserved, "paymentId", payment_id);
        let closed = format!(r#"{{"status":"COMPLETED","closedAt":"{:.3}"}}"#, self.at);
        rows.extend([
            self.decided(EventType::PaymentCompleted, &paid, &reserved),
            self.decided(EventType::OrderCompleted, &paid, &paid),
            self.row(StageName::Close, RowBody::Data(closed), &paid),
        ]);
        rows
    }

    /// The rows of an order whose payment failed.
    pub(crate) fn declined(&self) -> Vec<Row> {
        let (mut rows, reserved) = self.reserved();
        let failed = self.failure(StageName::Payment, &reserved);
        let released = format!(r#"{{"releasedAt":"{:.3}"}}"#, self.at);
        rows.extend([
            self.decided(EventType::OrderPaymentFailed, &failed, &reserved),
            self.row(StageName::Release, RowBody::Data(released), &failed),
            self.failed_row(StageName::Payment, &failed),
        ]);
        rows
    }

    /// The rows of an order that was not valid.
    pub(crate) fn invalid(&self) -> Vec<Row> {
        let sent = self.payload();
        let failed = self.failure(StageName::Validator, &sent);
        vec![
            self.decided(EventType::OrderCreated, &sent, &sent),
            self.decided(EventType::OrderValidationFailed, &failed, &sent),
            self.failed_row(StageName::Validator, &failed),
        ]
    }

    fn failure(&self, stage: StageName, original: &str) -> String {
        let reason = FailureReason::new(FailureCode::ValidationFailed, "a reason");
        Failure {
            reason: &reason,
            stage,
            source: None,
            original_payload: Some(original),
            is_malformed_report: false,
        }
        .to_json()
    }

    fn failed_row(&self, stage: StageName, failed: &str) -> Row {
        let closed = format!(r#"{{"status":"FAILED","failedStage":"{stage}"}}"#);
        self.row(StageName::Close, RowBody::Data(closed), failed)
    }
}

fn with(payload: &str, name: &'static str, value: &str) -> String {
    Object::parse(payload).unwrap().with(&Fields::default().with_string(name, value))
}
