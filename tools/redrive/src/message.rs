//! Reads a message of the dead-letter topic: the cause, and the records that were given up.
//!
//! Any writer of the topic can forge one. So each record in it is a claim, of which only the
//! position is used. A malformed claim is reported with its reason and does not hide the others.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::position::Position;

/// The longest name of a topic.
const MAX_TOPIC_BYTES: usize = 249;

/// A message of the dead-letter topic, not yet read.
pub(crate) struct DeadLetterMessage {
    pub(crate) position: Position,
    /// Milliseconds since the epoch.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) cause: Cause,
    /// In the order of the message. Never empty: a message without records has one error.
    pub(crate) claims: Vec<Result<Claim, String>>,
}

/// Why the records were given up, as far as the message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Lambda's name for it, such as `RetriesExhausted`.
    pub(crate) condition: Option<String>,
    /// `Unhandled` if the function failed; `None` if it was not reached or reported item failures.
    pub(crate) function_error: Option<String>,
    /// The function's name, without the rest of its ARN.
    pub(crate) function: Option<String>,
}

/// A record as the message describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) position: Position,
    /// `None` if the value is null or cannot be decoded.
    pub(crate) value: Option<Vec<u8>>,
}

pub(crate) fn read(value: &[u8]) -> Content {
    match serde_json::from_slice(value) {
        Ok(message) => Content {
            cause: cause(&message),
            claims: claims(&message).unwrap_or_else(|reason| vec![Err(reason)]),
        },
        Err(error) => {
            Content { cause: Cause::default(), claims: vec![Err(format!("not JSON: {error}"))] }
        }
    }
}

fn cause(message: &Value) -> Cause {
    let text = |pointer| message.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
    Cause {
        condition: text("/requestContext/condition"),
        function_error: text("/responseContext/functionError"),
        function: text("/requestContext/functionArn").map(|arn| function_name(&arn)),
    }
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, optionally followed by `:QUALIFIER`.
fn function_name(arn: &str) -> String {
    arn.split(':').nth(6).unwrap_or(arn).to_owned()
}

fn claims(message: &Value) -> Result<Vec<Result<Claim, String>>, String> {
    let missing = || "no records in it: Lambda includes them for Kafka and S3 only".to_owned();
    let event = match message.get("payload").unwrap_or(&Value::Null) {
        // For S3, Lambda writes the event as a string.
        Value::String(text) => serde_json::from_str(text)
            .map_err(|error| format!("its payload is a string that is not JSON: {error}"))?,
        payload => payload.clone(),
    };
    let partitions = event.get("records").and_then(Value::as_object).ok_or_else(missing)?;
    let mut claims = Vec::new();
    for (partition, list) in partitions {
        match list.as_array() {
            Some(list) => claims.extend(list.iter().map(claim)),
            None => {
                claims.push(Err(format!("the records of {partition} are not a list")));
            }
        }
    }
    if claims.is_empty() { Err(missing()) } else { Ok(claims) }
}

fn claim(record: &Value) -> Result<Claim, String> {
    let value = record.get("value").and_then(Value::as_str);
    let value = value.and_then(|base64| BASE64_STANDARD.decode(base64).ok());
    Ok(Claim { position: position(record)?, value })
}

fn position(record: &Value) -> Result<Position, &'static str> {
    let whole = |name| record.get(name).and_then(Value::as_i64).filter(|number| *number >= 0);
    let topic = record.get("topic").and_then(Value::as_str);
    let topic = topic.filter(|topic| (1..=MAX_TOPIC_BYTES).contains(&topic.len()));
    let partition = whole("partition").and_then(|partition| i32::try_from(partition).ok());
    Ok(Position::new(
        topic.ok_or("a record in it has no valid topic")?,
        partition.ok_or("a record in it has no valid partition")?,
        whole("offset").ok_or("a record in it has no valid offset")?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(payload: &Value) -> Result<Claim, String> {
        let message = json!({ "payload": payload }).to_string();
        let [only] = <[_; 1]>::try_from(read(message.as_bytes()).claims).unwrap();
        only
    }

    fn event(record: &Value) -> Value {
        json!({ "records": { "order.created-2": [record] } })
    }

    fn reason(value: &[u8]) -> String {
        let [only] = <[_; 1]>::try_from(read(value).claims).unwrap();
        only.unwrap_err()
    }

    #[test]
    fn a_message_has_the_cause_and_the_function() {
        let message = json!({
            "requestContext": {
                "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:payment:$LATEST",
                "condition": "RetriesExhausted",
            },
            "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
        });
        assert_eq!(
            read(message.to_string().as_bytes()).cause,
            Cause {
                condition: Some("RetriesExhausted".to_owned()),
                function_error: Some("Unhandled".to_owned()),
                function: Some("payment".to_owned()),
            }
        );
        assert_eq!(read(br#"{"requestContext":7}"#).cause, Cause::default());
    }

    #[test]
    fn a_claim_has_a_position_and_a_value() {
        let position = Position::new("order.created", 2, 17);
        for (value, read) in [
            (json!("AP8="), Some(vec![0, 255])),
            (json!(""), Some(vec![])),
            (json!("not base64!"), None),
            (json!([7]), None),
            (Value::Null, None),
        ] {
            let record =
                json!({ "topic": "order.created", "partition": 2, "offset": 17, "value": value });
            let expected = Claim { position: position.clone(), value: read };
            assert_eq!(only(&event(&record)), Ok(expected.clone()));
            // As Lambda writes it to S3.
            assert_eq!(only(&Value::from(event(&record).to_string())), Ok(expected));
        }
    }

    #[test]
    fn a_malformed_claim_does_not_hide_the_others() {
        let good = |offset: i64| json!({ "topic": "t", "partition": 0, "offset": offset });
        let mut malformed = good(5);
        malformed["partition"] = json!(-1);
        let message = json!({ "payload": { "records": {
            "t-0": [good(4), malformed, good(6)], "t-1": "nothing", "t-2": [{ "topic": "t" }],
        } } });
        let claims = read(message.to_string().as_bytes()).claims;
        let offsets: Vec<_> = claims.iter().flatten().map(|claim| claim.position.offset).collect();
        assert_eq!(offsets, [4, 6]);
        let reasons: Vec<_> = claims.iter().filter_map(|claim| claim.as_ref().err()).collect();
        assert_eq!(
            reasons,
            [
                "a record in it has no valid partition",
                "the records of t-1 are not a list",
                "a record in it has no valid partition",
            ]
        );
    }

    #[test]
    fn a_malformed_message_is_reported_with_its_reason() {
        assert!(reason(b"hello").starts_with("not JSON"));
        assert!(reason(b"").starts_with("not JSON"));
        assert!(reason(b"[]").starts_with("no records in it"));
        assert!(reason(br#"{"payload":null}"#).starts_with("no records in it"));
        assert!(reason(br#"{"payload":{"records":{}}}"#).starts_with("no records in it"));
        assert!(reason(br#"{"payload":"{"}"#).starts_with("its payload is a string"));
    }
}
