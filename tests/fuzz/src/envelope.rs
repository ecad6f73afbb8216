//! The value of a record: an event, or a malformed record that is reported.

use contracts::{
    Envelope, EventType, Failure, FailureCode, FailureReason, MalformedEvent, Object, OrderId,
    RecordPosition, StageName, StoredEvent, Topic, order,
};
use jiff::Timestamp;

use crate::is_one_line;

/// The longest reason of a failure, its code included, in bytes.
const MAX_REASON_BYTES: usize = 8 * 1024 + 64;

pub(crate) fn run(input: &[u8]) {
    match Envelope::decode(input) {
        Ok(event) => is_passed_on(input, &event),
        Err(malformed) => is_reported(&malformed),
    }
}

/// The next event, the failure and the stored event keep what the event has.
fn is_passed_on(input: &[u8], event: &Envelope<'_>) {
    assert_eq!(event.text().as_bytes(), input.trim_ascii());
    assert!(is_one_line(event.order_id.as_str()) && is_one_line(&event.correlation_id));

    let stored = read(event.text());
    assert_eq!(stored.body, event.text());
    for (name, value) in stored.headers(event.order_id.as_str()) {
        assert!(is_one_line(&value), "{name}: {value:?}");
    }

    if event.is_malformed_report() {
        // It is about no order, so no stage decides about it.
        return;
    }
    let payload = event.payload.text();
    let next = StoredEvent::next(event, event.event_type, Timestamp::UNIX_EPOCH, payload);
    assert_eq!(read(&next.body), next);
    is_kept(event.text(), &next.body, &["eventType", "timestamp"]);

    is_rejected(event);
    for error in
        [order::customer_id(&event.payload).err(), order::total_amount(&event.payload).err()]
            .into_iter()
            .flatten()
            .chain(order::items(&event.payload).err().map(|errors| errors.to_string()))
    {
        let reason = FailureReason::new(FailureCode::ValidationFailed, &error);
        assert!(reason.to_string().len() <= MAX_REASON_BYTES, "{reason}");
    }
}

/// Every field but these has the text that it had.
fn is_kept(before: &str, after: &str, changed: &[&str]) {
    let (before, after) = (object(before), object(after));
    for (name, value) in before.fields().filter(|(name, _)| !changed.contains(name)) {
        assert_eq!(after.get(name), Some(value), "{name}");
    }
    assert_eq!(before.fields().count(), after.fields().count());
}

/// Its stage can reject it: the failure is an event, and has the payload as it was sent.
fn is_rejected(event: &Envelope<'_>) {
    if event.event_type.is_failure() {
        return;
    }
    let reason = FailureReason::new(FailureCode::OutOfStock, "none left");
    let failure = Failure {
        reason: &reason,
        stage: StageName::Inventory,
        source: None,
        original_payload: Some(event.payload.text()),
        is_malformed_report: false,
    };
    let rejected = EventType::OrderInventoryFailed;
    let failed = StoredEvent::next(event, rejected, Timestamp::UNIX_EPOCH, &failure.to_json());
    let read = read(&failed.body);
    assert_eq!(read, failed);
    assert!(!read.is_malformed_report, "an order's failure counts as a malformed record's");
    let body = object(&failed.body);
    let payload = object(body.get("payload").unwrap_or_default());
    assert_eq!(payload.get("originalPayload"), Some(event.payload.text()));
}

/// The report of a malformed record is an event, marked as a report, with what could be read.
fn is_reported(malformed: &MalformedEvent<'_>) {
    assert!(malformed.reason.to_string().len() <= MAX_REASON_BYTES, "{}", malformed.reason);
    let failure = Failure {
        reason: &malformed.reason,
        stage: StageName::Validator,
        source: Some(RecordPosition { topic: Topic::OrderCreated, partition: 3, offset: 42 }),
        original_payload: malformed.payload,
        is_malformed_report: true,
    };
    let order_id = malformed.order_id.clone().or_else(|| OrderId::parse("order.created-3-42"));
    let Some(order_id) = order_id else { return };
    let correlation_id = malformed.correlation_id.as_deref().unwrap_or("corr-1");
    assert!(is_one_line(order_id.as_str()) && is_one_line(correlation_id));
    let report = StoredEvent::new(
        EventType::OrderValidationFailed,
        &order_id,
        correlation_id,
        Timestamp::UNIX_EPOCH,
        &failure.to_json(),
    );
    let report = report.as_malformed_report();
    assert_eq!(read(&report.body), report);
}

#[expect(clippy::panic, reason = "a property does not hold")]
fn read(body: &str) -> StoredEvent {
    StoredEvent::read(body.to_owned()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[expect(clippy::panic, reason = "a property does not hold")]
fn object(text: &str) -> Object<'_> {
    Object::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
