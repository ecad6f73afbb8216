//! What does a dead letter say? Why it was given up, and which records it is about.
//!
//! A letter is a claim, by whoever may write to the topic: of a record it says where it lies, and only
//! what lies there is ever put back. A claim that cannot be read is told with the reason and does not
//! hide its neighbours.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::position::Position;

/// A dead letter, read as far as it can be.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) given_up: GivenUp,
    /// In the letter's order, or why one cannot be read; never empty, because a letter without a record
    /// is unreadable.
    pub(crate) claims: Vec<Result<Claim, String>>,
}

/// Why the records of a letter were given up, as far as the letter says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// Lambda's word for it, such as `RetriesExhausted`.
    pub(crate) condition: Option<String>,
    /// `Unhandled` where the function failed; none where it was not reached or gave records back.
    pub(crate) function_error: Option<String>,
    /// The function's name, without the rest of its ARN.
    pub(crate) function: Option<String>,
}

/// What a letter says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) position: Position,
    /// Its value, unless that is null or cannot be read.
    pub(crate) value: Option<Vec<u8>>,
}

/// Reads the value of a dead letter.
pub(crate) fn read(value: &[u8]) -> DeadLetter {
    match serde_json::from_slice(value) {
        Ok(letter) => DeadLetter {
            given_up: given_up(&letter),
            claims: claims(&letter).unwrap_or_else(|reason| vec![Err(reason)]),
        },
        Err(error) => DeadLetter {
            given_up: GivenUp::default(),
            claims: vec![Err(format!("it is no JSON: {error}"))],
        },
    }
}

fn given_up(letter: &Value) -> GivenUp {
    let text = |pointer| letter.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
    GivenUp {
        condition: text("/requestContext/condition"),
        function_error: text("/responseContext/functionError"),
        function: text("/requestContext/functionArn").map(|arn| function_name(&arn)),
    }
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, with or without `:QUALIFIER` behind it.
fn function_name(arn: &str) -> String {
    arn.split(':').nth(6).unwrap_or(arn).to_owned()
}

fn claims(letter: &Value) -> Result<Vec<Result<Claim, String>>, String> {
    let missing = || "it carries no record: Lambda writes them to Kafka and S3 only".to_owned();
    let event = match letter.get("payload").unwrap_or(&Value::Null) {
        // A letter written to S3 carries its event as a text.
        Value::String(text) => serde_json::from_str(text)
            .map_err(|error| format!("its payload is a text that is no JSON: {error}"))?,
        payload => payload.clone(),
    };
    let partitions = event.get("records").and_then(Value::as_object).ok_or_else(missing)?;
    let mut claims = Vec::new();
    for (partition, list) in partitions {
        match list.as_array() {
            Some(list) => claims.extend(list.iter().map(claim)),
            None => {
                claims.push(Err(format!("what it has for {partition} is no list of records")));
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
    let topic = record.get("topic").and_then(Value::as_str).filter(|topic| !topic.is_empty());
    let partition = whole("partition").and_then(|partition| i32::try_from(partition).ok());
    Ok(Position::new(
        topic.ok_or("a record in it names no topic")?,
        partition.ok_or("a record in it names no partition")?,
        whole("offset").ok_or("a record in it names no offset")?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(payload: &Value) -> Result<Claim, String> {
        let letter = json!({ "payload": payload }).to_string();
        let [only] = <[_; 1]>::try_from(read(letter.as_bytes()).claims).unwrap();
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
    fn a_letter_says_why_and_which_function() {
        let letter = json!({
            "requestContext": {
                "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:payment:$LATEST",
                "condition": "RetriesExhausted",
            },
            "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
        });
        assert_eq!(
            read(letter.to_string().as_bytes()).given_up,
            GivenUp {
                condition: Some("RetriesExhausted".to_owned()),
                function_error: Some("Unhandled".to_owned()),
                function: Some("payment".to_owned()),
            }
        );
        assert_eq!(read(br#"{"requestContext":7}"#).given_up, GivenUp::default());
    }

    #[test]
    fn a_claim_is_a_position_and_the_value_that_is_said_to_lie_there() {
        let position = Position::new("order.created", 2, 17);
        for (value, read) in [
            (json!("AP8="), Some(vec![0, 255])),
            (json!(""), Some(vec![])),
            (json!("no base64!"), None),
            (json!([7]), None),
            (Value::Null, None),
        ] {
            let record =
                json!({ "topic": "order.created", "partition": 2, "offset": 17, "value": value });
            let expected = Claim { position: position.clone(), value: read };
            assert_eq!(only(&event(&record)), Ok(expected.clone()));
            // As S3 gets it.
            assert_eq!(only(&Value::from(event(&record).to_string())), Ok(expected));
        }
    }

    #[test]
    fn a_claim_that_cannot_be_read_does_not_hide_its_neighbours() {
        let good = |offset: i64| json!({ "topic": "t", "partition": 0, "offset": offset });
        let mut bad = good(5);
        bad["partition"] = json!(-1);
        let letter = json!({ "payload": { "records": {
            "t-0": [good(4), bad, good(6)], "t-1": "nothing", "t-2": [{ "topic": "t" }],
        } } });
        let claims = read(letter.to_string().as_bytes()).claims;
        let offsets: Vec<_> = claims.iter().flatten().map(|claim| claim.position.offset).collect();
        assert_eq!(offsets, [4, 6]);
        let reasons: Vec<_> = claims.iter().filter_map(|claim| claim.as_ref().err()).collect();
        assert_eq!(
            reasons,
            [
                "a record in it names no partition",
                "what it has for t-1 is no list of records",
                "a record in it names no partition",
            ]
        );
    }

    #[test]
    fn what_is_no_letter_says_so() {
        assert!(reason(b"hello").starts_with("it is no JSON"));
        assert!(reason(b"").starts_with("it is no JSON"));
        assert!(reason(b"[]").starts_with("it carries no record"));
        assert!(reason(br#"{"payload":null}"#).starts_with("it carries no record"));
        assert!(reason(br#"{"payload":{"records":{}}}"#).starts_with("it carries no record"));
        assert!(reason(br#"{"payload":"{"}"#).starts_with("its payload is a text"));
    }
}
