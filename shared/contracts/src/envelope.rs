//! The envelope that every event has, read from a record and carried to the next event.
//!
//! Fields that nobody here knows stay where they were, with the digits they had; only an exponent
//! gets its sign spelled out (`1e400` is passed on as `1e+400`).

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{
    EventType, FailureCode, FailureReason, JsonObject, OrderId,
    nesting::{MAX_NESTING, max_nesting, nesting},
};

/// An event: five known fields, and whatever else was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What happened.
    pub event_type: EventType,
    /// To which order.
    pub order_id: OrderId,
    /// What ties the events of one request together.
    pub correlation_id: String,
    /// When, in RFC 3339.
    pub timestamp: String,
    /// With what content.
    pub payload: JsonObject,
    /// Every field in the order it came; the five known ones only hold their place here.
    fields: JsonObject,
}

/// A record that is no event: why, and what could be read of it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct MalformedEvent {
    /// What a person can act on.
    pub reason: FailureReason,
    /// The order that the record names, where it names one.
    pub order_id: Option<OrderId>,
    /// The correlation id that the record names, where it names one.
    pub correlation_id: Option<String>,
    /// The payload, where there is one.
    pub payload: Option<Value>,
}

impl Envelope {
    /// A new event, from scratch.
    #[must_use]
    pub fn new(
        event_type: EventType,
        order_id: OrderId,
        correlation_id: String,
        timestamp: Timestamp,
        payload: JsonObject,
    ) -> Self {
        let fields = ["eventType", "orderId", "correlationId", "timestamp", "payload"]
            .into_iter()
            .map(|name| (name.to_owned(), Value::Null))
            .collect();
        let timestamp = rfc3339(timestamp);
        Self { event_type, order_id, correlation_id, timestamp, payload, fields }
    }

    /// The next event of the same order: everything stays but type, time and payload.
    #[must_use]
    pub fn next(&self, event_type: EventType, timestamp: Timestamp, payload: JsonObject) -> Self {
        Self {
            event_type,
            order_id: self.order_id.clone(),
            correlation_id: self.correlation_id.clone(),
            timestamp: rfc3339(timestamp),
            payload,
            fields: self.fields.clone(),
        }
    }

    /// Reads an event from a record's bytes.
    ///
    /// # Errors
    /// Where the bytes are no JSON object, or one of the five fields is missing or not of its type.
    pub fn decode(bytes: &[u8]) -> Result<Self, Box<MalformedEvent>> {
        let mut object = match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(not_readable("the record is no JSON object")),
            Err(error) => return Err(not_readable(&format!("the record is no JSON: {error}"))),
        };
        match Known::read(&object) {
            Ok(known) => {
                let payload = match object.get_mut("payload").map(Value::take) {
                    Some(Value::Object(payload)) => payload,
                    _ => JsonObject::new(),
                };
                Ok(Self {
                    event_type: known.event_type,
                    order_id: known.order_id,
                    correlation_id: known.correlation_id,
                    timestamp: known.timestamp,
                    payload,
                    fields: object,
                })
            }
            Err(reason) => Err(Box::new(MalformedEvent {
                reason,
                order_id: text(&object, "orderId").and_then(OrderId::parse),
                correlation_id: text(&object, "correlationId").map(str::to_owned),
                payload: object.remove("payload"),
            })),
        }
    }
}

/// The four fields beside the payload, once all five are known to be good.
struct Known {
    event_type: EventType,
    order_id: OrderId,
    correlation_id: String,
    timestamp: String,
}

impl Known {
    fn read(object: &JsonObject) -> Result<Self, FailureReason> {
        let malformed = |text: &str| FailureReason::new(FailureCode::MalformedEvent, text);
        let name = text(object, "eventType").ok_or_else(|| malformed("eventType must be text"))?;
        let order_id = text(object, "orderId")
            .and_then(OrderId::parse)
            .ok_or_else(|| malformed("orderId must be text of 1 to 1024 bytes"))?;
        let correlation_id = text(object, "correlationId")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| malformed("correlationId must be text"))?;
        let timestamp = text(object, "timestamp")
            .filter(|text| text.parse::<Timestamp>().is_ok())
            .ok_or_else(|| malformed("timestamp must be an RFC 3339 time"))?;
        let payload = object
            .get("payload")
            .filter(|payload| payload.is_object())
            .ok_or_else(|| malformed("payload must be a JSON object"))?;
        let event_type = EventType::from_name(name).ok_or_else(|| {
            FailureReason::new(
                FailureCode::UnexpectedEvent,
                format!("{name:?} is no event of this workflow"),
            )
        })?;
        if nesting(payload) > max_nesting(event_type) {
            return Err(malformed(&format!("payload must nest at most {MAX_NESTING} levels")));
        }
        Ok(Self {
            event_type,
            order_id,
            correlation_id: correlation_id.to_owned(),
            timestamp: timestamp.to_owned(),
        })
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            match name.as_str() {
                "eventType" => map.serialize_entry(name, self.event_type.name())?,
                "orderId" => map.serialize_entry(name, self.order_id.as_str())?,
                "correlationId" => map.serialize_entry(name, &self.correlation_id)?,
                "timestamp" => map.serialize_entry(name, &self.timestamp)?,
                "payload" => map.serialize_entry(name, &self.payload)?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

fn text<'a>(object: &'a JsonObject, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

fn not_readable(text: &str) -> Box<MalformedEvent> {
    Box::new(MalformedEvent {
        reason: FailureReason::new(FailureCode::MalformedEvent, text),
        order_id: None,
        correlation_id: None,
        payload: None,
    })
}

/// The time as events carry it: UTC, in milliseconds.
fn rfc3339(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn good() -> Value {
        json!({
            "eventType": "OrderCreated", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": { "customerId": "cust-1" },
        })
    }

    fn decode(event: &Value) -> Result<Envelope, Box<MalformedEvent>> {
        Envelope::decode(event.to_string().as_bytes())
    }

    #[test]
    fn an_event_is_written_as_it_was_read() {
        let body = r#"{"a":1.50,"payload":{"n":1e+400,"é":[{}]},"orderId":"ord-1","eventType":"OrderCreated","timestamp":"2026-02-06T12:00:00Z","correlationId":"c","z":null}"#;
        let envelope = Envelope::decode(body.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&envelope).unwrap(), body);
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named() {
        for field in ["eventType", "orderId", "correlationId", "timestamp", "payload"] {
            for wrong in [None, Some(json!(7)), Some(json!(""))] {
                let mut event = good();
                let object = event.as_object_mut().unwrap();
                object.remove(field);
                if let Some(wrong) = wrong {
                    object.insert(field.to_owned(), wrong);
                }
                let malformed = decode(&event).unwrap_err();
                assert!(
                    malformed.reason.text.contains(field) || field == "eventType",
                    "{field}: {malformed}"
                );
                if field != "orderId" {
                    assert_eq!(malformed.order_id, OrderId::parse("ord-1"), "{field}");
                }
            }
        }
    }

    #[test]
    fn an_event_of_another_system_is_unexpected() {
        let mut event = good();
        event["eventType"] = "OrderShipped".into();
        assert_eq!(decode(&event).unwrap_err().reason.code, FailureCode::UnexpectedEvent);
    }

    #[test]
    fn an_event_that_its_failure_could_not_wrap_is_refused() {
        let mut event = good();
        let nested = |levels| (1..levels).fold(json!([]), |inner, _| json!([inner]));
        event["payload"]["deep"] = nested(MAX_NESTING - 1);
        assert!(decode(&event).is_ok());
        let original = event["payload"].clone();
        event["payload"]["deep"] = nested(MAX_NESTING);
        assert!(decode(&event).is_err());

        let mut failure = good();
        failure["eventType"] = "OrderValidationFailed".into();
        failure["payload"] = json!({ "originalPayload": original, "failureReason": "X: y" });
        assert!(decode(&failure).is_ok());
    }

    /// Any JSON, its numbers with any digits.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"
                .prop_map(|digits| serde_json::from_str(&digits).expect("a JSON number")),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-zA-Z_$ é]{0,8}", inner), 0..6)
                    .prop_map(|fields| fields.into_iter().collect::<JsonObject>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_nobody_knows_reaches_the_next_event_unchanged(
            unknown in any_json(),
            payload in prop::collection::vec(("[a-z]{1,8}", any_json()), 0..6),
        ) {
            let payload: JsonObject = payload.into_iter().collect();
            let mut event = good();
            event["unknown"] = unknown.clone();
            event["payload"] = payload.clone().into();
            let next = decode(&event).unwrap();
            let next = next.next(EventType::OrderValidated, AT, next.payload.clone());
            let body: Value = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
            prop_assert_eq!(&body["unknown"], &unknown);
            prop_assert_eq!(body["payload"].to_string(), Value::from(payload).to_string());
            prop_assert_eq!(&body["timestamp"], "1970-01-01T00:00:00.000Z");
        }

        #[test]
        fn no_bytes_make_the_reader_fail_otherwise_than_by_saying_so(bytes: Vec<u8>) {
            prop_assert!(Envelope::decode(&bytes).is_err());
        }
    }
}
