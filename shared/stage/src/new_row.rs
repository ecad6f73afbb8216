//! Makes the row to put: of a stage's decision about an order, or of a record that is no event.

use contracts::{
    Envelope, FailureCode, FailureReason, OutgoingEvent, Source, StageName,
    failure::failure_payload,
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
    let (stage, source) = (incoming.stage, &incoming.source);
    let digest = Digest::of_payload(&event.payload);
    let row = |content| Row {
        key: event.order_id.to_string(),
        stage: stage.name(),
        content,
        digest,
        expires_at: stamp.expires_at,
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
            reject(stage.name(), event, source, rejected, &too_large(), stamp)
        }
        (Publishes::Either { rejected, .. }, Decision::Reject(reason)) => {
            reject(stage.name(), event, source, rejected, &reason, stamp)
        }
    }
}

/// The row of a rejection; one that would not fit says so and leaves the payload out.
fn reject(
    stage: StageName,
    event: &Envelope,
    source: &Source,
    rejected: contracts::EventType,
    reason: &FailureReason,
    stamp: Stamp,
) -> Result<Decided, Retry> {
    let original = Value::from(event.payload.clone());
    let with = |reason: &FailureReason, original: Option<&Value>| {
        let payload = failure_payload(reason, stage, source, original);
        Ok::<Row, Retry>(Row {
            key: event.order_id.to_string(),
            stage,
            content: write(&event.next(rejected, stamp.now, payload))?,
            digest: Digest::of_payload(&event.payload),
            expires_at: stamp.expires_at,
        })
    };
    let mut code = reason.code;
    let mut row = with(reason, Some(&original).filter(|_| code != FailureCode::EventTooLarge))?;
    if row.size_bytes() > MAX_ROW_BYTES {
        code = FailureCode::EventTooLarge;
        row = with(&too_large(), None)?;
    }
    Ok(Decided { row, effects: Vec::new(), outcome: Outcome::Rejected(code) })
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
        })
    };
    let readable =
        |value: &&Value| contracts::envelope::nesting(value) <= contracts::envelope::MAX_NESTING;
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
