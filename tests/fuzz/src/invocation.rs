//! The event of an invocation: a batch of Kafka records, an HTTP request, or a schedule.

use engine::lambda_event::KafkaEvent;
use order_api::{Request, Scheduled};
use serde_json::value::RawValue;

pub(crate) fn run(input: &[u8]) {
    let batch = KafkaEvent::read(&mut serde_json::Deserializer::from_slice(input));
    if let Err(error) = batch {
        // The event names customers, so the error must not quote it.
        let text = error.to_string();
        assert!(text.starts_with("cannot read the event as a batch of Kafka records: "), "{text}");
        assert!(text.len() < 256, "{text}");
    }
    let Ok(event) = serde_json::from_slice::<Box<RawValue>>(input) else { return };
    if let Some(Err(error)) = Request::read(&event) {
        assert!(!error.to_string().is_empty());
    }
    if let Some(Ok(scheduled)) = Scheduled::read(&event) {
        assert!(scheduled.accepted_since.is_none_or(|since| since.as_second() > i64::MIN));
    }
}
