//! Makes the row to put: of a stage's decision about an order, or of a record that is no event.

use contracts::{
    Envelope, EventType, FailureCode, FailureReason, OutgoingEvent, Source,
    failure::failure_payload,
    nesting::{MAX_NESTING, nesting},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Accept, Content, Decision, Digest, Effect, Publishes, Retry, Row,
    incoming::{Incoming, Poison},
    outcome::Outcome,
    row::MAX_ROW_BYTES,
};

/// A row to put, the effects to commit with it, and how it is called in the log if it is new.
pub(crate) struct Decided {
    pub(crate) row: Row,
    pub(crate) effects: Vec<Effect>,
    pub(crate) outcome: Outcome,
}

/// What a new row is made with.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) now: Timestamp,
    pub(crate) expires_at: i64,
}

/// The row of a decision about an order.
pub(crate) fn decided(
    incoming: &Incoming<'_>,
    event: &Envelope,
    decision: Decision,
    stamp: Stamp,
) -> Result<Decided, Retry> {
    let stage = incoming.stage;
    let digest = Digest::of_payload(&event.payload);
    let row = |content| Row {
        key: event.order_id.to_string(),
        stage: stage.name(),
        content,
        digest,
        expires_at: stamp.expires_at,
        listed: None,
    };
    let reject = |rejected, reason: &FailureReason| {
        let (row, code) = rejection(incoming, event, rejected, reason, stamp.now, row)?;
        Ok(Decided { row, effects: Vec::new(), outcome: Outcome::Rejected(code) })
    };
    match (stage.publishes(), decision) {
        (Publishes::Nothing, Decision::Accept(Accept { fields, effects })) => {
            Ok(Decided { row: row(Content::Result(fields)), effects, outcome: Outcome::Accepted })
        }
        (Publishes::Nothing, Decision::Reject(reason)) => {
            Err(Retry::new(format!("stage {}", stage.name()), reason.to_string()))
        }
        (
            Publishes::Either { accepted, rejected },
            Decision::Accept(Accept { fields, effects }),
        ) => {
            let mut payload = event.payload.clone();
            payload.extend(fields);
            let row = row(write(&event.next(accepted, stamp.now, payload))?);
            if row.size_bytes() <= MAX_ROW_BYTES {
                return Ok(Decided { row, effects, outcome: Outcome::Accepted });
            }
            reject(rejected, &too_large())
        }
        (Publishes::Either { rejected, .. }, Decision::Reject(reason)) => reject(rejected, &reason),
    }
}

/// The row of a rejection and its code; one that would not fit says so and leaves the payload out.
fn rejection(
    incoming: &Incoming<'_>,
    event: &Envelope,
    rejected: EventType,
    reason: &FailureReason,
    now: Timestamp,
    row: impl Fn(Content) -> Row,
) -> Result<(Row, FailureCode), Retry> {
    let with = |reason: &FailureReason, original: Option<&Value>| {
        let payload = failure_payload(reason, incoming.stage.name(), &incoming.source, original);
        write(&event.next(rejected, now, payload)).map(&row)
    };
    if reason.code != FailureCode::EventTooLarge {
        let row = with(reason, Some(&event.payload.clone().into()))?;
        if row.size_bytes() <= MAX_ROW_BYTES {
            return Ok((row, reason.code));
        }
    }
    Ok((with(&too_large(), None)?, FailureCode::EventTooLarge))
}

/// The row of a record that is no event: keyed by where it lies, so that it takes no order's slot.
/// `None` where the record already lies among the failures.
pub(crate) fn reported(
    incoming: &Incoming<'_>,
    poison: &Poison,
    stamp: Stamp,
) -> Result<Option<Decided>, Retry> {
    let Source { topic, partition, offset } = &incoming.source;
    let reported_as =
        contracts::Topic::from_name(topic).and_then(contracts::Topic::poison_reported_as);
    let Some(event_type) = reported_as else { return Ok(None) };
    let malformed = &poison.malformed;
    let row = |original: Option<&Value>| {
        let envelope = Envelope::new(
            event_type,
            poison.order_id.clone(),
            malformed.correlation_id.clone().unwrap_or_else(|| poison.order_id.to_string()),
            stamp.now,
            failure_payload(&malformed.reason, incoming.stage.name(), &incoming.source, original),
        );
        Ok::<Row, Retry>(Row {
            key: contracts::OrderId::from_position(topic, *partition, *offset).to_string(),
            stage: incoming.stage.name(),
            content: write(&envelope)?,
            digest: poison.digest,
            expires_at: stamp.expires_at,
            listed: None,
        })
    };
    let readable = |value: &&Value| nesting(value) <= MAX_NESTING;
    let mut new = row(malformed.payload.as_ref().filter(readable))?;
    if new.size_bytes() > MAX_ROW_BYTES {
        new = row(None)?;
    }
    let outcome = Outcome::Poison(malformed.reason.code);
    Ok(Some(Decided { row: new, effects: Vec::new(), outcome }))
}

fn write(envelope: &Envelope) -> Result<Content, Retry> {
    OutgoingEvent::write(envelope)
        .map(Content::Event)
        .map_err(|error| Retry::new("writing an event down", error))
}

fn too_large() -> FailureReason {
    FailureReason::new(
        FailureCode::EventTooLarge,
        format!("the event must fit a row of {MAX_ROW_BYTES} bytes; see its source record"),
    )
}
