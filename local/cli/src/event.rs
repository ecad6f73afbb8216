//! `event`: makes an event file of `events/` from the events of orders.

use std::collections::BTreeMap;
use std::io::{self, Read};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contracts::nesting::compact;
use contracts::{Envelope, StoredEvent, Topic, parse_rfc3339};
use emulator::template::Template;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use terminal::{ExitError, Terminal};

use crate::cli::{self, EventOptions};

/// As in all files of `events/`: the functions do not read them.
const CLUSTER_ARN: &str =
    "arn:aws:kafka:eu-west-1:123456789012:cluster/orders/7d1c9a52-5b0e-4c3f-9a70-3f2d8e6b1a90-5";
const BOOTSTRAP_SERVERS: &str = "b-1.orders.example.kafka.eu-west-1.amazonaws.com:9098,b-2.orders.example.kafka.eu-west-1.amazonaws.com:9098";

#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    #[error("cannot read standard input")]
    Unreadable(#[from] io::Error),
    #[error("standard input has no event (give it one: `event {function} < FILE`)")]
    Empty { function: String },
    #[error("event {number} of standard input: {cause}")]
    Malformed { number: usize, cause: String },
    #[error("event {number} of standard input: {function} has no mapping for {topic} ({options})")]
    Topic { number: usize, function: String, topic: String, options: String },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LambdaEvent {
    event_source: &'static str,
    event_source_arn: &'static str,
    bootstrap_servers: &'static str,
    /// By `topic-partition`.
    records: BTreeMap<String, Vec<Record>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    topic: &'static str,
    partition: i32,
    offset: usize,
    timestamp: i64,
    timestamp_type: &'static str,
    key: String,
    value: String,
    /// The bytes of each header, on one line.
    headers: Vec<BTreeMap<&'static str, Box<RawValue>>>,
}

pub(crate) fn run(options: &EventOptions, terminal: &Terminal) -> Result<(), ExitError> {
    let template = Template::read(&cli::default_template()).map_err(ExitError::start)?;
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text).map_err(EventError::Unreadable);
    read.map_err(ExitError::start)?;
    let event = lambda_event(&template, &options.function, &text).map_err(ExitError::start)?;
    terminal.println(&event);
    Ok(())
}

/// The Lambda event for a function with these events, each as a record of partition 0.
fn lambda_event(template: &Template, function: &str, text: &str) -> Result<String, EventError> {
    let mut records: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let events = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    for (index, event) in events.enumerate() {
        let number = index + 1;
        let malformed = |cause: String| EventError::Malformed { number, cause };
        let event = event.map_err(|error| malformed(error.to_string()))?;
        let body = compact(event.get());
        let decoded = Envelope::decode(body.as_bytes());
        let topic = decoded.map_err(|error| malformed(error.to_string()))?.event_type.topic();
        check_topic(template, function, topic, number)?;
        let event = StoredEvent::read(body).map_err(|error| malformed(error.to_string()))?;
        let of_partition = records.entry(format!("{topic}-0")).or_default();
        let record = record(&event, topic, of_partition.len());
        of_partition.push(record.map_err(|error| malformed(error.to_string()))?);
    }
    if records.is_empty() {
        return Err(EventError::Empty { function: function.to_owned() });
    }
    let event = LambdaEvent {
        event_source: "aws:kafka",
        event_source_arn: CLUSTER_ARN,
        bootstrap_servers: BOOTSTRAP_SERVERS,
        records,
    };
    serde_json::to_string_pretty(&event).map_err(|error| EventError::Unreadable(error.into()))
}

fn record(event: &StoredEvent, topic: Topic, offset: usize) -> serde_json::Result<Record> {
    let order_id = event.order_id.as_str();
    let headers = event.headers(order_id);
    let headers = headers.iter().map(|(name, value)| -> serde_json::Result<_> {
        let bytes: Vec<i8> = value.bytes().map(u8::cast_signed).collect();
        // A space after each comma, as in the other files.
        let bytes = to_raw_value(&bytes)?.get().replace(',', ", ");
        Ok(BTreeMap::from([(*name, RawValue::from_string(bytes)?)]))
    });
    let timestamp = parse_rfc3339(&event.timestamp).map(|at| at.as_millisecond());
    Ok(Record {
        topic: topic.name(),
        partition: 0,
        offset,
        timestamp: timestamp.unwrap_or(-1),
        timestamp_type: "CREATE_TIME",
        key: BASE64_STANDARD.encode(order_id),
        headers: headers.collect::<serde_json::Result<_>>()?,
        value: BASE64_STANDARD.encode(&event.body),
    })
}

/// The function must have a mapping for the topic, or it would report the event.
fn check_topic(
    template: &Template,
    function: &str,
    topic: Topic,
    number: usize,
) -> Result<(), EventError> {
    let mappings = &template.mappings;
    if mappings.iter().any(|it| it.function.binary == function && it.topic == topic.name()) {
        return Ok(());
    }
    let of_topic = mappings.iter().filter(|it| it.topic == topic.name());
    let mut readers: Vec<_> = of_topic.map(|it| it.function.binary.as_str()).collect();
    readers.dedup();
    Err(EventError::Topic {
        number,
        function: function.to_owned(),
        topic: topic.to_string(),
        options: format!("use {}", readers.join(" or ")),
    })
}
