//! An event as it is stored and published: the exact bytes, its key and its headers.

use jiff::Timestamp;

use crate::{
    Envelope, EventType, MalformedEvent, OrderId, StageName,
    object::{push_field, quoted},
};

/// The JSON Schema (draft 2020-12) of a record's headers, read as text, as published.
pub const HEADERS_SCHEMA: &str = include_str!("../schemas/headers.json");

/// An event that is created once, stored, and published unchanged on every delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Determines the topic.
    pub event_type: EventType,
    /// The record's key: the events of one order stay in order on one partition.
    pub order_id: OrderId,
    /// The record's value.
    pub body: String,
    /// Shared by all events of one request.
    pub correlation_id: String,
    /// RFC 3339.
    pub timestamp: String,
    /// Set for the report of a malformed record, which belongs to no order.
    pub is_malformed_report: bool,
}

impl StoredEvent {
    /// An event with only the five fields; `payload` is the JSON text of an object.
    #[must_use]
    pub fn new(
        event_type: EventType,
        order_id: &OrderId,
        correlation_id: &str,
        timestamp: Timestamp,
        payload: &str,
    ) -> Self {
        let timestamp = rfc3339(timestamp);
        let mut body = String::with_capacity(payload.len() + 256);
        body.push('{');
        push_field(&mut body, "eventType", &quoted(event_type.name()));
        push_field(&mut body, "orderId", &quoted(order_id.as_str()));
        push_field(&mut body, "correlationId", &quoted(correlation_id));
        push_field(&mut body, "timestamp", &quoted(&timestamp));
        push_field(&mut body, "payload", payload);
        body.push('}');
        Self {
            event_type,
            order_id: order_id.clone(),
            body,
            correlation_id: correlation_id.to_owned(),
            timestamp,
            is_malformed_report: false,
        }
    }

    /// Marks the event as the report of a malformed record.
    #[must_use]
    pub fn as_malformed_report(self) -> Self {
        Self { is_malformed_report: true, ..self }
    }

    /// The order's next event: replaces type, time and payload, keeps every other field.
    #[must_use]
    pub fn next(
        event: &Envelope<'_>,
        event_type: EventType,
        timestamp: Timestamp,
        payload: &str,
    ) -> Self {
        let timestamp = rfc3339(timestamp);
        Self {
            event_type,
            order_id: event.order_id.clone(),
            body: event.next_body(event_type, &timestamp, payload),
            correlation_id: event.correlation_id.to_string(),
            timestamp,
            is_malformed_report: false,
        }
    }

    /// Reads a stored event back.
    ///
    /// # Errors
    /// If the stored text is malformed.
    pub fn read(body: String) -> Result<Self, Box<MalformedEvent<'static>>> {
        let (event_type, order_id, correlation_id, timestamp, is_malformed_report) =
            match Envelope::decode(body.as_bytes()) {
                Ok(event) => {
                    let is_malformed_report = event.is_malformed_report();
                    let Envelope { event_type, order_id, correlation_id, timestamp, .. } = event;
                    let texts = (correlation_id.into_owned(), timestamp.into_owned());
                    (event_type, order_id, texts.0, texts.1, is_malformed_report)
                }
                Err(malformed) => {
                    return Err(Box::new(MalformedEvent { payload: None, ..*malformed }));
                }
            };
        Ok(Self { event_type, order_id, body, correlation_id, timestamp, is_malformed_report })
    }

    #[must_use]
    pub fn stage(&self) -> StageName {
        self.event_type.published_by()
    }

    /// The record's headers: CloudEvents 1.0 in binary mode for Kafka.
    ///
    /// `row_key` is the id of the row that holds the event: the order's id, or the position and
    /// digest of a malformed record. `ce_id` is made of it and the event's type, never of a
    /// client's text.
    #[must_use]
    pub fn headers(&self, row_key: &str) -> [(&'static str, String); 7] {
        [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", format!("{row_key}/{}", self.event_type)),
            ("ce_type", self.event_type.name().to_owned()),
            ("ce_source", format!("/order-workflow/{}", self.stage())),
            ("ce_time", self.timestamp.clone()),
            ("ce_subject", self.order_id.to_string()),
            ("content-type", "application/json".to_owned()),
        ]
    }
}

/// UTC, in milliseconds.
fn rfc3339(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{Failure, FailureCode, FailureReason, RecordPosition, Topic};

    fn event(event_type: EventType, payload: &str) -> StoredEvent {
        let order_id = OrderId::parse("ord-1").unwrap();
        StoredEvent::new(event_type, &order_id, "corr", Timestamp::UNIX_EPOCH, payload)
    }

    #[test]
    fn an_event_read_back_is_the_event_that_was_written() {
        let written = event(EventType::OrderValidated, r#"{"a":1}"#);
        assert_eq!(StoredEvent::read(written.body.clone()).unwrap(), written);
    }

    #[test]
    fn every_event_has_the_headers_that_are_published() {
        let schema: Value = serde_json::from_str(HEADERS_SCHEMA).unwrap();
        let headers = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        for event_type in EventType::ALL {
            let written = event(*event_type, "{}").headers("ord-1");
            let written: Value =
                written.into_iter().map(|(key, it)| (key, Value::from(it))).collect();
            assert_eq!(headers.validate(&written).map_err(|error| error.to_string()), Ok(()));
            let required = schema["required"].as_array().unwrap();
            assert_eq!(written.as_object().unwrap().len(), required.len(), "{written}");
            assert_eq!(written["ce_id"], format!("ord-1/{event_type}"));
        }
    }

    #[test]
    fn only_the_workflows_own_mark_makes_a_report_of_a_malformed_record() {
        let report = |original_payload, is_malformed_report| {
            let reason = FailureReason::new(FailureCode::MalformedEvent, "it says why");
            let source =
                Some(RecordPosition { topic: Topic::OrderCreated, partition: 3, offset: 42 });
            let stage = StageName::Validator;
            let failure =
                Failure { reason: &reason, stage, source, original_payload, is_malformed_report };
            let written = event(EventType::OrderValidationFailed, &failure.to_json());
            StoredEvent::read(written.body).unwrap().is_malformed_report
        };
        assert!(report(None, true));
        assert!(!report(Some(r#"{"malformed":true}"#), false));
        let sent = event(
            EventType::OrderCreated,
            r#"{"failureReason":"MALFORMED_EVENT: x","malformed":true}"#,
        );
        assert!(!StoredEvent::read(sent.body).unwrap().is_malformed_report);
    }
}
