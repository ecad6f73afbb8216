//! The envelope of every event, read from a record one level deep.

use std::borrow::Cow;

use crate::{
    EventType, FailureCode, FailureReason, Object, OrderId,
    failure::is_marked_malformed,
    nesting::{MAX_EVENT_NESTING, MAX_NESTING, is_nested_deeper},
    object::{push_field, quoted, shortened, surrogate_correction},
    order_id::{MAX_CORRELATION_ID_BYTES, MAX_ORDER_ID_BYTES, is_id},
    time::parse_rfc3339,
};

/// The longest `timestamp` in bytes.
const MAX_TIMESTAMP_BYTES: usize = 64;

/// An event: the five fields of the contract, and every other field as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub event_type: EventType,
    pub order_id: OrderId,
    /// Shared by all events of one request.
    pub correlation_id: Cow<'a, str>,
    /// RFC 3339.
    pub timestamp: Cow<'a, str>,
    pub payload: Object<'a>,
    fields: Object<'a>,
}

/// A malformed record: the reason, and the fields that could be read.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct MalformedEvent<'a> {
    pub reason: FailureReason,
    pub order_id: Option<OrderId>,
    pub correlation_id: Option<String>,
    /// The payload as JSON text; `None` if it is missing or nested too deeply for a report to wrap.
    pub payload: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Reads an event from the value of a record.
    ///
    /// # Errors
    /// If the bytes are not a JSON object, or one of the five fields is missing or malformed.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Box<MalformedEvent<'a>>> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| unreadable(&format!("the record is not UTF-8: {error}")))?;
        let fields =
            Object::parse(text).map_err(|error| unreadable(&format!("the record: {error}")))?;
        let known = Known::read(&fields).map_err(|reason| {
            let named = |name, max| fields.string(name).filter(|text| is_id(text, max));
            Box::new(MalformedEvent {
                reason,
                order_id: fields.string("orderId").and_then(|id| OrderId::parse(&id)),
                correlation_id: named("correlationId", MAX_CORRELATION_ID_BYTES)
                    .map(Cow::into_owned),
                payload: fields.get("payload").filter(|json| !is_nested_deeper(json, MAX_NESTING)),
            })
        })?;
        let Known { event_type, order_id, correlation_id, timestamp, payload } = known;
        Ok(Self { event_type, order_id, correlation_id, timestamp, payload, fields })
    }

    /// The report of a malformed record belongs to no order.
    #[must_use]
    pub fn is_malformed_report(&self) -> bool {
        self.event_type.is_failure() && is_marked_malformed(&self.payload)
    }

    /// The whole event as it was sent.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.fields.text()
    }

    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.fields.text().len()
    }

    /// The body of the order's next event: replaces type, time and payload, keeps every other
    /// field.
    pub(crate) fn next_body(
        &self,
        event_type: EventType,
        timestamp: &str,
        payload: &str,
    ) -> String {
        let length = self.fields.text().len() - self.payload.text().len() + payload.len();
        let mut body = String::with_capacity(length + 64);
        body.push('{');
        for (name, value) in self.fields.fields() {
            match name {
                "eventType" => push_field(&mut body, name, &quoted(event_type.name())),
                "timestamp" => push_field(&mut body, name, &quoted(timestamp)),
                "payload" => push_field(&mut body, name, payload),
                _ => push_field(&mut body, name, value),
            }
        }
        body.push('}');
        body
    }
}

/// The five fields of the contract, validated.
struct Known<'a> {
    event_type: EventType,
    order_id: OrderId,
    correlation_id: Cow<'a, str>,
    timestamp: Cow<'a, str>,
    payload: Object<'a>,
}

impl<'a> Known<'a> {
    fn read(fields: &Object<'a>) -> Result<Self, FailureReason> {
        let malformed = |text: &str| FailureReason::new(FailureCode::MalformedEvent, text);
        let mistyped = |name: &str, rule: &str| {
            let surrogate = fields.get(name).and_then(|json| surrogate_correction(json, name));
            malformed(&surrogate.unwrap_or_else(|| format!("{name} must be {rule}")))
        };
        let id_rule = |max| format!("a string of 1 to {max} bytes without control characters");
        let name = fields.string("eventType").ok_or_else(|| mistyped("eventType", "a string"))?;
        let order_id = fields
            .string("orderId")
            .and_then(|id| OrderId::parse(&id))
            .ok_or_else(|| mistyped("orderId", &id_rule(MAX_ORDER_ID_BYTES)))?;
        let correlation_id = fields
            .string("correlationId")
            .filter(|id| is_id(id, MAX_CORRELATION_ID_BYTES))
            .ok_or_else(|| mistyped("correlationId", &id_rule(MAX_CORRELATION_ID_BYTES)))?;
        let timestamp = fields
            .string("timestamp")
            .filter(|text| text.len() <= MAX_TIMESTAMP_BYTES && parse_rfc3339(text).is_some())
            .ok_or_else(|| mistyped("timestamp", "an RFC 3339 time"))?;
        let payload = fields.get("payload").filter(|json| json.starts_with('{'));
        let payload = payload.ok_or_else(|| malformed("payload must be a JSON object"))?;
        let payload =
            Object::parse(payload).map_err(|error| malformed(&format!("payload: {error}")))?;
        let event_type = EventType::from_name(&name).ok_or_else(|| {
            let text = format!("{:?} is not an event of this workflow", shortened(&name));
            FailureReason::new(FailureCode::UnexpectedEvent, text)
        })?;
        check_nesting(event_type, fields, &payload)?;
        Ok(Self { event_type, order_id, correlation_id, timestamp, payload })
    }
}

/// A failure event may nest deeper than the payload that it wraps.
fn check_nesting(
    event_type: EventType,
    fields: &Object<'_>,
    payload: &Object<'_>,
) -> Result<(), FailureReason> {
    let is_too_deep = is_nested_deeper(fields.text(), MAX_NESTING)
        && (is_nested_deeper(fields.text(), MAX_EVENT_NESTING)
            || !event_type.is_failure() && is_nested_deeper(payload.text(), MAX_NESTING));
    if is_too_deep {
        let text = format!("an event must nest at most {MAX_NESTING} levels");
        return Err(FailureReason::new(FailureCode::MalformedEvent, text));
    }
    Ok(())
}

fn unreadable(text: &str) -> Box<MalformedEvent<'static>> {
    Box::new(MalformedEvent {
        reason: FailureReason::new(FailureCode::MalformedEvent, text),
        order_id: None,
        correlation_id: None,
        payload: None,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Fields, StoredEvent};

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn valid_event() -> Value {
        json!({
            "eventType": "OrderCreated", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": { "customerId": "cust-1" },
        })
    }

    fn reason(event: &str) -> String {
        Envelope::decode(event.as_bytes()).unwrap_err().reason.to_string()
    }

    #[test]
    fn the_next_event_keeps_every_other_field_as_it_was_spelled() {
        let body = r#"{"a":1.50,"payload":{"n":1e400,"é":[{}]},"orderId":"ord-\u0031","eventType":"OrderCreated","timestamp":"2026-02-06T12:00:00Z","correlationId":"c","z":null}"#;
        let envelope = Envelope::decode(body.as_bytes()).unwrap();
        let payload = envelope.payload.with(&Fields::default().with_string("paymentId", "p"));
        let next = StoredEvent::next(&envelope, EventType::OrderValidated, AT, &payload);
        assert_eq!(
            next.body,
            r#"{"a":1.50,"payload":{"n":1e400,"é":[{}],"paymentId":"p"},"orderId":"ord-\u0031","eventType":"OrderValidated","timestamp":"1970-01-01T00:00:00.000Z","correlationId":"c","z":null}"#
        );
        assert_eq!(next.order_id.as_str(), "ord-1");
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named() {
        for field in ["eventType", "orderId", "correlationId", "timestamp", "payload"] {
            for wrong in [None, Some(json!(7)), Some(json!("")), Some(json!("a\u{1}"))] {
                let mut event = valid_event();
                let object = event.as_object_mut().unwrap();
                object.remove(field);
                if let Some(wrong) = wrong {
                    object.insert(field.to_owned(), wrong);
                }
                let body = event.to_string();
                let malformed = Envelope::decode(body.as_bytes()).unwrap_err();
                let text = malformed.reason.text();
                assert!(text.contains(field) || field == "eventType", "{field}: {malformed}");
                if field != "orderId" {
                    assert_eq!(malformed.order_id, OrderId::parse("ord-1"), "{field}");
                }
            }
        }
    }

    #[test]
    fn an_id_with_a_control_character_is_malformed() {
        for field in ["orderId", "correlationId"] {
            for control in ["\u{0}", "\n", "\u{1b}[2J", "\u{7f}", "\u{85}", "\u{9b}2J"] {
                let mut event = valid_event();
                event[field] = format!("id{control}").into();
                let reason = reason(&event.to_string());
                let expected = format!("MALFORMED_EVENT: {field} must be a string");
                assert!(reason.starts_with(&expected), "{control:?}: {reason}");
            }
        }
    }

    #[test]
    fn a_lone_surrogate_in_a_field_is_named() {
        for field in ["eventType", "orderId", "correlationId", "timestamp"] {
            let mut event = valid_event();
            event[field] = "SURROGATE".into();
            for text in [r"\ud800", r"x\udc00", r"\ud800\ud800"] {
                assert_eq!(
                    reason(&event.to_string().replace("SURROGATE", text)),
                    format!(
                        "MALFORMED_EVENT: {field} must not have a lone surrogate (\\ud800 to \
                         \\udfff without its pair)"
                    )
                );
            }
        }
    }

    #[test]
    fn a_timestamp_that_is_not_rfc_3339_is_malformed() {
        for text in [
            "2026-02-06T12:00:00+00:00[Europe/Paris]",
            "2026-02-06 12:00:00Z",
            "2026-02-06T12:00:00,5Z",
            "2026-02-06T12:00:00+01",
            "2026-W06-5T12:00:00Z",
            &format!("2026-02-06T12:00:00.{}Z", "0".repeat(64)),
        ] {
            let mut event = valid_event();
            event["timestamp"] = text.into();
            let reason = reason(&event.to_string());
            assert_eq!(reason, "MALFORMED_EVENT: timestamp must be an RFC 3339 time", "{text}");
        }
        let leap = valid_event().to_string().replace("12:00:00Z", "23:59:60.25z");
        assert!(Envelope::decode(leap.as_bytes()).is_ok());
    }

    #[test]
    fn a_field_that_occurs_twice_is_malformed() {
        let body = valid_event().to_string();
        let twice = body.replacen('{', r#"{"payload":{},"#, 1);
        assert_eq!(reason(&twice), r#"MALFORMED_EVENT: the record: field "payload" occurs twice"#);
        let twice = body.replacen(r#""payload":{"#, r#""payload":{"customerId":"x","#, 1);
        assert_eq!(reason(&twice), r#"MALFORMED_EVENT: payload: field "customerId" occurs twice"#);
    }

    #[test]
    fn an_event_of_another_system_is_unexpected_and_its_name_is_cut() {
        let mut event = valid_event();
        event["eventType"] = "InvoiceSent".into();
        let foreign = reason(&event.to_string());
        assert_eq!(foreign, r#"UNEXPECTED_EVENT: "InvoiceSent" is not an event of this workflow"#);
        event["eventType"] = "\u{301}".repeat(123 * 1024).into();
        assert!(reason(&event.to_string()).len() < 2_000);
    }

    #[test]
    fn an_event_nested_too_deeply_is_malformed() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let with = |field: &str, levels| {
            let mut event = valid_event();
            event[field] = json!({ "deep": "DEEP" });
            event.to_string().replace("\"DEEP\"", &nested(levels))
        };
        assert!(Envelope::decode(with("payload", MAX_NESTING - 1).as_bytes()).is_ok());
        for deep in [with("payload", MAX_NESTING), with("x", 102), with("payload", 100_000)] {
            assert!(reason(&deep).contains("must nest at most 100 levels"));
        }
        let failure = with("payload", MAX_NESTING).replace("OrderCreated", "OrderValidationFailed");
        assert!(Envelope::decode(failure.as_bytes()).is_ok());
    }

    /// Any JSON text, its numbers with any digits.
    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|it| it.to_string()),
            "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?",
            ".*".prop_map(|text| quoted(&text)),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|values| format!("[{}]", values.join(","))),
                prop::collection::vec(("[a-zA-Z_$ é]{0,8}", inner), 0..6).prop_map(|fields| {
                    let fields: Vec<_> = fields
                        .iter()
                        .map(|(name, value)| format!("{}: {value}", quoted(name)))
                        .collect();
                    format!("{{{}}}", fields.join(", "))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn unknown_fields_reach_the_next_event_as_the_text_they_were(
            unknown in any_json(),
            value in any_json(),
        ) {
            let body = valid_event().to_string().replacen('{', &format!(r#"{{"unknown": {unknown},"#), 1);
            let body = body.replace(r#""cust-1""#, &format!(r#""cust-1","x": {value}"#));
            let envelope = Envelope::decode(body.as_bytes()).unwrap();
            let payload = envelope.payload.text();
            let next = StoredEvent::next(&envelope, EventType::OrderValidated, AT, payload);
            let next = Envelope::decode(next.body.as_bytes()).unwrap();
            prop_assert_eq!(next.fields.get("unknown").unwrap(), &unknown);
            prop_assert_eq!(next.payload.get("x").unwrap(), &value);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            prop_assert!(Envelope::decode(&bytes).is_err());
        }
    }
}
