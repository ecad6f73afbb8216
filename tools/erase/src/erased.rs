//! The row that takes the place of a customer's row: same key, stage, event type and times.
//!
//! Only fields that cannot hold a client's text are kept. The event stays valid, because a
//! redelivery publishes it again.

use contracts::{
    Envelope, Failure, FailureReason, Fields, Item, Object, StageName, StoredEvent,
    failure::{failure_code, failure_reason},
    happy_path,
    order::{items, total_amount},
    parse_rfc3339,
};
use engine::{Digest, ERASED, Row, RowBody};

#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the event in row {order_id}/{stage}: {cause} (delete the row by hand once it is older than the topics' records)"
)]
pub(crate) struct UnreadableEvent {
    order_id: String,
    stage: StageName,
    cause: String,
}

/// `is_reserved`: every SKU of the order is in the stock table, so none is a client's own text.
///
/// Returns the row itself if it is erased already.
pub(crate) fn erased(row: &Row, is_reserved: bool) -> Result<Row, UnreadableEvent> {
    let unreadable = |cause: String| UnreadableEvent {
        order_id: row.key.id.clone(),
        stage: row.key.stage,
        cause,
    };
    let body = match &row.body {
        RowBody::Event(event) => {
            RowBody::Event(event_without_customer(event, is_reserved).map_err(unreadable)?)
        }
        RowBody::Data(json) => {
            let data = Object::parse(json).map_err(|error| unreadable(error.to_string()))?;
            RowBody::Data(data_without_customer(&data))
        }
    };
    // `NONE` marks a row that was decided early.
    let digest = if row.is_early() { row.digest } else { Digest::erased() };
    Ok(Row { body, digest, customer_index: None, ..row.clone() })
}

fn event_without_customer(event: &StoredEvent, is_reserved: bool) -> Result<StoredEvent, String> {
    let envelope =
        Envelope::decode(event.body.as_bytes()).map_err(|error| error.reason.to_string())?;
    let at = parse_rfc3339(&event.timestamp).ok_or("its timestamp is malformed")?;
    let payload = if event.event_type.is_failure() {
        failure_without_customer(&envelope, event.stage(), is_reserved)?
    } else {
        order_without_customer(&envelope.payload, is_reserved, |it| it <= event.stage())
    };
    // The correlation id may be the client's.
    Ok(StoredEvent::new(event.event_type, &event.order_id, ERASED, at, &payload))
}

/// The fields of the contract, and the ids that these stages have added.
fn order_without_customer(
    payload: &Object<'_>,
    is_reserved: bool,
    has_added: impl Fn(StageName) -> bool,
) -> String {
    let total = payload.get("totalAmount").filter(|_| total_amount(payload).is_ok());
    let fields = Fields::default()
        .with_string("customerId", ERASED)
        .with_json("items", items_without_customer(payload, is_reserved))
        .with_json("totalAmount", total.unwrap_or("0").to_owned());
    let names = happy_path().filter(|spec| has_added(spec.name)).flat_map(|spec| spec.adds);
    let fields = names.fold(fields, |fields, name| match payload.get(name) {
        Some(id) => fields.with_json(name, id.to_owned()),
        None => fields,
    });
    fields.to_json()
}

fn items_without_customer(payload: &Object<'_>, is_reserved: bool) -> String {
    let items = items(payload).ok().filter(|_| is_reserved);
    let items = items.unwrap_or_else(|| vec![Item { sku: ERASED.to_owned(), quantity: 1 }]);
    let items = items.iter().map(|item| {
        let fields = Fields::default().with_string("sku", &item.sku);
        fields.with_json("quantity", item.quantity.to_string()).to_json()
    });
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// The code of the failure: its text and the original payload may quote the client.
fn failure_without_customer(
    event: &Envelope<'_>,
    stage: StageName,
    is_reserved: bool,
) -> Result<String, String> {
    let code = failure_code(&event.payload).ok_or("its failure code is unknown")?;
    let original = event.payload.get("originalPayload").and_then(|it| Object::parse(it).ok());
    let original =
        original.map(|it| order_without_customer(&it, is_reserved, |added_by| added_by < stage));
    let failure = Failure {
        reason: &FailureReason::new(code, ERASED),
        stage,
        source: None,
        original_payload: original.as_deref(),
        is_malformed_report: false,
    };
    Ok(failure.to_json())
}

/// The fields that the close and the release store.
fn data_without_customer(data: &Object<'_>) -> String {
    const KEPT: [&str; 5] = ["status", "failedStage", "closedAt", "tookMs", "releasedAt"];
    let fields = KEPT.into_iter().fold(Fields::default(), |fields, name| match data.get(name) {
        Some(value) => fields.with_json(name, value.to_owned()),
        None => fields,
    });
    let fields = match failure_reason(data) {
        Some(_) => {
            let code = failure_code(data).map_or("FAILED", contracts::FailureCode::name);
            fields.with_string("failureReason", &format!("{code}: {ERASED}"))
        }
        None => fields,
    };
    fields.to_json()
}
