//! New rows: accepted orders, rejected orders, reports of malformed records.

use contracts::{
    Envelope, Failure, FailureCode, FailureReason, Fields, OrderId, Publishes, RecordPosition,
    StageName, StoredEvent,
};
use jiff::Timestamp;

use crate::{
    Digest, Effect, Row, RowBody, RowKey,
    error::PermanentError,
    log::Outcome,
    record::{Malformed, Record},
    row::{MAX_EVENT_BYTES, MAX_ROW_BYTES},
};

/// A row to insert, the updates to commit with it, and its log outcome.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) row: Row,
    pub(crate) effects: Vec<Effect>,
    pub(crate) outcome: Outcome,
}

/// The fields that the rows of a batch share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) stage: StageName,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: i64,
}

impl Stamp {
    fn row(&self, id: String, digest: Digest, body: RowBody) -> Row {
        let key = RowKey { id, stage: self.stage };
        Row { key, body, digest, expires_at: self.expires_at, customer_index: None }
    }
}

/// Leaves room in the row for the fields that a stage adds.
pub(crate) fn fits(event: &Envelope<'_>) -> bool {
    event.size_bytes() <= MAX_EVENT_BYTES
}

impl NewRow {
    pub(crate) fn accepted(
        event: &Envelope<'_>,
        fields: &Fields,
        effects: Vec<Effect>,
        stamp: Stamp,
    ) -> Result<Self, PermanentError> {
        let body = match stamp.stage.spec().publishes {
            Some(Publishes { accepted, .. }) => {
                let payload = event.payload.with(fields);
                RowBody::Event(StoredEvent::next(event, accepted, stamp.now, &payload))
            }
            None => RowBody::Data(fields.to_json()),
        };
        let row = stamp.row(event.order_id.to_string(), digest_of(event), body);
        match row.size_bytes() {
            ..=MAX_ROW_BYTES => Ok(Self { row, effects, outcome: Outcome::Accepted }),
            size => Err(PermanentError::new(format!(
                "the row of {} is {size} bytes, above {MAX_ROW_BYTES}: stage {} adds too much",
                event.order_id, stamp.stage
            ))),
        }
    }

    pub(crate) fn rejected(
        event: &Envelope<'_>,
        source: Option<RecordPosition>,
        reason: &FailureReason,
        stamp: Stamp,
    ) -> Result<Self, PermanentError> {
        let publishes = stamp.stage.spec().publishes;
        let Some(rejected) = publishes.and_then(|publishes| publishes.rejected) else {
            return Err(PermanentError::new(format!(
                "stage {} rejects nothing: {reason}",
                stamp.stage
            )));
        };
        let failure = |original_payload| {
            let stage = stamp.stage;
            Failure { reason, stage, source, original_payload, is_malformed_report: false }
                .to_json()
        };
        let without_payload = || {
            let ids = (&event.order_id, event.correlation_id.as_ref());
            StoredEvent::new(rejected, ids.0, ids.1, stamp.now, &failure(None))
        };
        let event_body = if fits(event) {
            StoredEvent::next(event, rejected, stamp.now, &failure(Some(event.payload.text())))
        } else {
            without_payload()
        };
        let id = event.order_id.to_string();
        let mut row = stamp.row(id, digest_of(event), RowBody::Event(event_body));
        if row.size_bytes() > MAX_ROW_BYTES {
            // Escaping can make a reason several times as long.
            row = stamp.row(row.key.id, row.digest, RowBody::Event(without_payload()));
        }
        Ok(Self { row, effects: Vec::new(), outcome: Outcome::Rejected(reason.code) })
    }

    /// A rejection before the event of the stage: the order was cancelled or expired.
    pub(crate) fn rejected_early(
        event: &Envelope<'_>,
        reason: &FailureReason,
        stamp: Stamp,
    ) -> Result<Self, PermanentError> {
        let Self { row, effects, outcome } = Self::rejected(event, None, reason, stamp)?;
        Ok(Self { row: Row { digest: Digest::NONE, ..row }, effects, outcome })
    }

    /// The rejection of an event that does not fit a row.
    pub(crate) fn too_large(
        event: &Envelope<'_>,
        source: RecordPosition,
        stamp: Stamp,
    ) -> Result<Self, PermanentError> {
        let text =
            format!("an event must have at most {MAX_EVENT_BYTES} bytes; see its source record");
        let reason = FailureReason::new(FailureCode::EventTooLarge, text);
        Self::rejected(event, Some(source), &reason, stamp)
    }

    /// The row that reports a malformed record. Its key is the record's position and digest, so
    /// that it takes neither an order's row nor that of a record of a recreated topic. `None` for a
    /// record of `order.failed`.
    pub(crate) fn malformed_report(
        record: &Record<'_>,
        malformed: &Malformed<'_>,
        stamp: Stamp,
    ) -> Option<Self> {
        let event_type = record.position.topic.malformed_failure()?;
        let why = &malformed.event;
        let order_id: &OrderId = &malformed.order_id;
        let correlation_id = why.correlation_id.as_deref().unwrap_or_default();
        let position = record.position.to_string();
        let failure = Failure {
            reason: &why.reason,
            stage: stamp.stage,
            source: Some(record.position),
            original_payload: why.payload.filter(|payload| payload.len() <= MAX_EVENT_BYTES),
            is_malformed_report: true,
        };
        let event = StoredEvent::new(
            event_type,
            order_id,
            // Every event has a correlation id; without one in the record, its position is used.
            if correlation_id.is_empty() { &position } else { correlation_id },
            stamp.now,
            &failure.to_json(),
        );
        let event = RowBody::Event(event.as_malformed_report());
        let row = stamp.row(malformed.row_id(record), malformed.digest, event);
        let outcome = Outcome::Malformed(why.reason.code);
        Some(Self { row, effects: Vec::new(), outcome })
    }
}

/// Detects other content for the same order.
pub(crate) fn digest_of(event: &Envelope<'_>) -> Digest {
    Digest::of(event.payload.text().as_bytes())
}
