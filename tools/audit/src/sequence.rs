//! Each row must follow from the row before it: that row exists, and its payload has become this
//! row's, with only the fields that the stage adds.

use contracts::{EventType, Publishes, StageName, StoredEvent};
use engine::{Digest, Row};

use crate::{
    finding::{Finding, Kind},
    order::{Order, envelope},
};

/// What is wrong with a row, given the row before it.
pub(crate) fn check(order: &Order, row: &Row) -> Vec<Finding> {
    let stage = row.key.stage;
    let missing = |event_type: EventType| {
        let by = event_type.published_by();
        let found =
            order.event(by).map_or_else(|| "none".to_owned(), |it| it.event_type.to_string());
        let expected = format!("the row of {by} with {event_type}, before that of {stage}");
        vec![Finding::new(Kind::MissingRow, &order.id, expected, found)]
    };
    // An early rejection follows any event of the order.
    if row.is_early() {
        return Vec::new();
    }
    if stage == StageName::Release && !order.is_reserved() {
        return missing(EventType::InventoryReserved);
    }
    let before = match stage {
        StageName::OrderApi => row.event(),
        StageName::Close => order.ends().first().copied(),
        _ => stage.spec().consumed_events().find_map(|it| order.event_of(it)),
    };
    let Some(before) = before else {
        let awaited = stage.spec().consumed_events().next();
        return awaited.map(missing).unwrap_or_default();
    };
    let changed = if order.is_erased { None } else { changed(row, before) };
    changed
        .map(|(expected, found)| Finding::new(Kind::ChangedRow, &order.id, expected, found))
        .into_iter()
        .collect()
}

/// The expected and the actual content where a row does not follow from the event before it.
fn changed(row: &Row, before: &StoredEvent) -> Option<(String, String)> {
    let (stage, publisher) = (row.key.stage, before.stage());
    let envelope_before = envelope(before)?;
    let added = stage.spec().adds;
    if let Some((event, Publishes { accepted, .. })) = row.event().zip(stage.spec().publishes)
        && event.event_type == accepted
        && let Some(envelope) = envelope(event)
    {
        for (name, value) in envelope_before.payload.fields() {
            let now = envelope.payload.get(name).unwrap_or("none");
            if now != value && !added.contains(&name) {
                // The values may be a customer's, except for the amount.
                let shown = |json: &str| match name {
                    "totalAmount" => format!("{name} {json}"),
                    _ => format!("{name} with digest {}", Digest::of(json.as_bytes())),
                };
                let from = format!("{} in the row of {publisher}", shown(value));
                return Some((from, format!("{} in the row of {stage}", shown(now))));
            }
        }
        if event.correlation_id != before.correlation_id {
            return Some((
                format!("the correlationId of the row of {publisher}"),
                format!("another one in the row of {stage}"),
            ));
        }
    }
    let digest = Digest::of(envelope_before.payload.text().as_bytes());
    (row.digest != digest).then(|| {
        (
            format!("digest {digest}, of the payload in the row of {publisher}"),
            format!("digest {} in the row of {stage}", row.digest),
        )
    })
}
