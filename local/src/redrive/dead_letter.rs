//! What does a dead letter say? Why it was given up, and the records in it as they were.
//!
//! The letter is Lambda's: of what it says only the records themselves must be there. A record that
//! cannot be read is told with the reason and does not hide its neighbours.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::position::Position;

/// A dead letter, read as far as it can be.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) given_up: GivenUp,
    /// In the letter's order; never empty, because a letter without a record is unreadable.
    pub(crate) records: Vec<Result<Record, Unreadable>>,
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

/// A header of a record: its name, and its value unless that is null.
pub(crate) type Header = (String, Option<Vec<u8>>);

/// A record that was given up, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) position: Position,
    /// Milliseconds since the epoch; none where the record had no time.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// In their order, names that come again included.
    pub(crate) headers: Vec<Header>,
}

/// What cannot be put back, because it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where the record came from, if that much can be read.
    pub(crate) position: Option<Position>,
    pub(crate) reason: String,
}

/// Reads the value of a dead letter.
pub(crate) fn read(value: &[u8]) -> DeadLetter {
    let unreadable = |reason| vec![Err(Unreadable { position: None, reason })];
    match serde_json::from_slice(value) {
        Ok(letter) => DeadLetter {
            given_up: given_up(&letter),
            records: records(&letter).unwrap_or_else(unreadable),
        },
        Err(error) => DeadLetter {
            given_up: GivenUp::default(),
            records: unreadable(format!("it is no JSON: {error}")),
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

fn records(letter: &Value) -> Result<Vec<Result<Record, Unreadable>>, String> {
    let missing = || "it carries no record: Lambda writes them to Kafka and S3 only".to_owned();
    let event = match letter.get("payload").unwrap_or(&Value::Null) {
        // A letter written to S3 carries its event as a text.
        Value::String(text) => serde_json::from_str(text)
            .map_err(|error| format!("its payload is a text that is no JSON: {error}"))?,
        payload => payload.clone(),
    };
    let partitions = event.get("records").and_then(Value::as_object).ok_or_else(missing)?;
    let mut records = Vec::new();
    for (partition, list) in partitions {
        match list.as_array() {
            Some(list) => records.extend(list.iter().map(record)),
            None => {
                let reason = format!("what it has for {partition} is no list of records");
                records.push(Err(Unreadable { position: None, reason }));
            }
        }
    }
    if records.is_empty() { Err(missing()) } else { Ok(records) }
}

fn record(record: &Value) -> Result<Record, Unreadable> {
    let position = position(record)
        .map_err(|reason| Unreadable { position: None, reason: reason.to_owned() })?;
    let unreadable = |reason| Unreadable { position: Some(position.clone()), reason };
    let timestamp_ms = record.get("timestamp").and_then(Value::as_i64);
    Ok(Record {
        timestamp_ms: timestamp_ms.filter(|milliseconds| *milliseconds >= 0),
        key: bytes(record, "key").map_err(unreadable)?,
        value: bytes(record, "value").map_err(unreadable)?,
        headers: headers(record).map_err(unreadable)?,
        position,
    })
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

/// Bytes that are written as base64; none where there is no such field, or a null.
fn bytes(record: &Value, name: &str) -> Result<Option<Vec<u8>>, String> {
    match record.get(name).unwrap_or(&Value::Null) {
        Value::Null => Ok(None),
        Value::String(text) => BASE64_STANDARD
            .decode(text)
            .map(Some)
            .map_err(|error| format!("its {name} is not base64: {error}")),
        _ => Err(format!("its {name} is not base64, but no text at all")),
    }
}

/// A list of objects with one field each, the header's name; its value is a list of bytes.
fn headers(record: &Value) -> Result<Vec<Header>, String> {
    let list = match record.get("headers").unwrap_or(&Value::Null) {
        Value::Null => return Ok(Vec::new()),
        headers => headers.as_array().ok_or("its headers are no list")?,
    };
    let mut headers = Vec::with_capacity(list.len());
    for header in list {
        for (name, value) in header.as_object().ok_or("a header of it has no name")? {
            let value = header_value(value)
                .ok_or_else(|| format!("the value of its header {name} is no list of bytes"))?;
            headers.push((name.clone(), value));
        }
    }
    Ok(headers)
}

fn header_value(value: &Value) -> Option<Option<Vec<u8>>> {
    if value.is_null() {
        return Some(None);
    }
    value.as_array()?.iter().map(byte).collect::<Option<_>>().map(Some)
}

/// Java's bytes are signed, and some tools write them as 0 to 255.
fn byte(value: &Value) -> Option<u8> {
    let number = value.as_i64()?;
    u8::try_from(number).ok().or_else(|| i8::try_from(number).ok().map(i8::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(payload: &Value) -> Result<Record, Unreadable> {
        let letter = json!({ "payload": payload }).to_string();
        let [only] = <[_; 1]>::try_from(read(letter.as_bytes()).records).unwrap();
        only
    }

    fn event(record: &Value) -> Value {
        json!({ "records": { "order.created-2": [record] } })
    }

    fn reason(value: &[u8]) -> String {
        let [only] = <[_; 1]>::try_from(read(value).records).unwrap();
        only.unwrap_err().reason
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
    fn a_record_is_read_byte_for_byte() {
        let record = json!({
            "topic": "order.created", "partition": 2, "offset": 17, "timestamp": 1_770_379_200_051_i64,
            "timestampType": "CREATE_TIME", "key": "b3JkLTE=", "value": "AP8=",
            "headers": [{ "b": [79, -1, 255, -128] }, { "a": null }, { "b": [] }],
        });
        let expected = Record {
            position: Position::new("order.created", 2, 17),
            timestamp_ms: Some(1_770_379_200_051),
            key: Some(b"ord-1".to_vec()),
            value: Some(vec![0, 255]),
            headers: vec![
                ("b".to_owned(), Some(vec![79, 255, 255, 128])),
                ("a".to_owned(), None),
                ("b".to_owned(), Some(Vec::new())),
            ],
        };
        assert_eq!(only(&event(&record)), Ok(expected.clone()));
        // As S3 gets it.
        assert_eq!(only(&Value::from(event(&record).to_string())), Ok(expected));
    }

    #[test]
    fn what_a_record_does_not_have_it_does_not_get() {
        let bare =
            json!({ "topic": "t", "partition": 0, "offset": 0, "timestamp": -1, "value": null });
        let record = only(&event(&bare)).unwrap();
        assert_eq!((record.timestamp_ms, record.key, record.value), (None, None, None));
        assert_eq!(record.headers, []);
        let empty = json!({ "topic": "t", "partition": 0, "offset": 0, "key": "", "value": "" });
        let record = only(&event(&empty)).unwrap();
        assert_eq!((record.key, record.value), (Some(Vec::new()), Some(Vec::new())));
    }

    #[test]
    fn a_record_that_cannot_be_read_does_not_hide_its_neighbours() {
        let good = |offset: i64| json!({ "topic": "t", "partition": 0, "offset": offset });
        let mut bad = good(5);
        bad["value"] = json!("no base64!");
        let letter = json!({ "payload": { "records": {
            "t-0": [good(4), bad, good(6)], "t-1": "nothing", "t-2": [{ "topic": "t" }],
        } } });
        let records = read(letter.to_string().as_bytes()).records;
        let offsets: Vec<_> =
            records.iter().flatten().map(|record| record.position.offset).collect();
        assert_eq!(offsets, [4, 6]);
        let unreadable: Vec<_> =
            records.iter().filter_map(|record| record.as_ref().err()).collect();
        assert_eq!(unreadable.len(), 3);
        assert_eq!(unreadable[0].position, Some(Position::new("t", 0, 5)));
        assert!(unreadable[0].reason.contains("its value is not base64"), "{unreadable:?}");
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

    #[test]
    fn headers_that_are_none_are_not_guessed_at() {
        for headers in [json!({}), json!(["a"]), json!([{ "a": [256] }]), json!([{ "a": "text" }])]
        {
            let record = json!({ "topic": "t", "partition": 0, "offset": 0, "headers": headers });
            assert!(only(&event(&record)).is_err(), "{record}");
        }
    }
}
