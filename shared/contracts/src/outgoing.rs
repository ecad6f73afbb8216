//! An event ready to be published: its exact bytes, its key and its headers.

use crate::{
    Envelope, EventType, MalformedEvent, OrderId, failure::reports_bad_record,
    stage_name::StageName,
};

/// The JSON Schema (draft 2020-12) of a record's headers, read as text, as published.
pub const HEADERS_SCHEMA: &str = include_str!("../schemas/headers.json");

/// An event as it goes onto its topic. Made once, stored, and published again unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// What happened; names the topic.
    pub event_type: EventType,
    /// The record's key, so that the events of one order stay in order on one partition.
    pub order_id: OrderId,
    /// The record's value.
    pub body: String,
    /// The same for every publishing of the event.
    pub id: String,
    /// What ties the events of one request together.
    pub correlation_id: String,
    /// When it happened, in RFC 3339.
    pub timestamp: String,
    /// Whether it reports a record that was no event, and so is about no order.
    pub reports_bad_record: bool,
}

impl OutgoingEvent {
    /// Writes the event down.
    ///
    /// # Errors
    /// Never for an envelope that was read or made by this crate.
    pub fn write(envelope: &Envelope) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_string(envelope)?;
        Ok(Self::with_body(envelope, body))
    }

    /// Reads back what was stored.
    ///
    /// # Errors
    /// Where the stored text is no event.
    pub fn read(body: String) -> Result<Self, Box<MalformedEvent>> {
        let envelope = Envelope::decode(body.as_bytes())?;
        Ok(Self::with_body(&envelope, body))
    }

    fn with_body(envelope: &Envelope, body: String) -> Self {
        Self {
            event_type: envelope.event_type,
            order_id: envelope.order_id.clone(),
            id: event_id(envelope),
            correlation_id: envelope.correlation_id.clone(),
            timestamp: envelope.timestamp.clone(),
            reports_bad_record: reports_bad_record(&envelope.payload),
            body,
        }
    }

    /// The stage that publishes the event.
    #[must_use]
    pub const fn stage(&self) -> StageName {
        self.event_type.published_by()
    }

    /// The record's headers: `CloudEvents` 1.0 in binary mode for Kafka.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, String); 7] {
        [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", self.id.clone()),
            ("ce_type", self.event_type.name().to_owned()),
            ("ce_source", format!("/order-workflow/{}", self.stage())),
            ("ce_time", self.timestamp.clone()),
            ("ce_subject", self.order_id.to_string()),
            ("content-type", "application/json".to_owned()),
        ]
    }
}

/// One id for one event: an order has each event once, a report of a bad record is one for each
/// place on the broker.
fn event_id(envelope: &Envelope) -> String {
    let source = envelope.payload.get("source");
    match source.filter(|_| reports_bad_record(&envelope.payload)) {
        Some(source) => format!(
            "{}-{}-{}/{}",
            source["topic"].as_str().unwrap_or_default(),
            source["partition"],
            source["offset"],
            envelope.event_type
        ),
        None => format!("{}/{}", envelope.order_id, envelope.event_type),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::{FailureCode, FailureReason, JsonObject, Source, failure::failure_payload};

    fn event(event_type: EventType, payload: JsonObject) -> OutgoingEvent {
        let order_id = OrderId::parse("ord-1").unwrap();
        let envelope =
            Envelope::new(event_type, order_id, "corr".to_owned(), Timestamp::UNIX_EPOCH, payload);
        OutgoingEvent::write(&envelope).unwrap()
    }

    #[test]
    fn an_event_read_back_is_the_event_that_was_written() {
        let written = event(EventType::OrderValidated, JsonObject::new());
        assert_eq!(OutgoingEvent::read(written.body.clone()).unwrap(), written);
        assert_eq!(written.id, "ord-1/OrderValidated");
    }

    #[test]
    fn every_event_has_the_headers_that_are_published() {
        let schema: Value = serde_json::from_str(HEADERS_SCHEMA).unwrap();
        let headers = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        for event_type in EventType::ALL {
            let written = event(event_type, JsonObject::new()).headers();
            let written: Value =
                written.into_iter().map(|(key, it)| (key, Value::from(it))).collect();
            assert_eq!(headers.validate(&written).map_err(|error| error.to_string()), Ok(()));
            let required = schema["required"].as_array().unwrap();
            assert_eq!(written.as_object().unwrap().len(), required.len(), "{written}");
        }
    }

    #[test]
    fn a_report_of_a_bad_record_has_an_id_of_its_own() {
        let report = |code| {
            let source = Source { topic: "order.created".to_owned(), partition: 3, offset: 42 };
            let reason = FailureReason::new(code, "it says why");
            let payload = failure_payload(&reason, StageName::Validator, &source, None);
            event(EventType::OrderValidationFailed, payload).id
        };
        assert_eq!(report(FailureCode::MalformedEvent), "order.created-3-42/OrderValidationFailed");
        assert_eq!(report(FailureCode::ValidationFailed), "ord-1/OrderValidationFailed");
    }
}
