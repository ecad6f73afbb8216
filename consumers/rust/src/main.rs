//! Example consumer: handles each event of the order workflow once, despite redeliveries.
//!
//! It prints each event as one line of JSON. See docs/consume.md.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{borrow::Cow, env, error::Error};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{BorrowedMessage, Headers, Message},
};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// An event, and its id, which is the same in all redeliveries.
struct Event<'a> {
    id: &'a str,
    /// The original JSON with all digits of its numbers. Parse the fields that you need from it.
    body: &'a RawValue,
}

/// The fields that every event has; a record without them is malformed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, rename = "eventType")]
    _event_type: Cow<'a, str>,
    #[serde(borrow, rename = "orderId")]
    _order_id: Cow<'a, str>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [servers, group, database, topics @ ..] = arguments.as_slice() else {
        return Err("arguments: BOOTSTRAP_SERVERS GROUP DATABASE TOPIC...".into());
    };
    let mut database = Connection::open(database)?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY)")?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        // Offsets are committed below, after all earlier records are handled.
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut skipped = 0_u64;
    for message in &consumer {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("{error}: the client retries by itself");
                continue;
            }
        };
        match read(&message) {
            // A database error ends the program; the record is redelivered after a restart.
            Ok(event) => handle_once(&mut database, &event)?,
            Err(reason) => {
                skipped += 1;
                let (topic, partition) = (message.topic(), message.partition());
                let offset = message.offset();
                eprintln!("skipped: {topic} {partition} {offset} {reason}, total={skipped}");
            }
        }
        consumer.commit_message(&message, CommitMode::Async)?;
    }
    Ok(())
}

/// Decodes a record; the error is the reason why it is malformed.
fn read<'a>(message: &'a BorrowedMessage<'_>) -> Result<Event<'a>, &'static str> {
    let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let id = headers.find(|header| header.key == "ce_id").and_then(|header| header.value);
    let id = id.and_then(|id| str::from_utf8(id).ok()).ok_or("without ce_id")?;
    let value = message.payload().unwrap_or_default();
    let body = serde_json::from_slice::<Envelope<'_>>(value).and(serde_json::from_slice(value));
    Ok(Event { id, body: body.map_err(|_| "not an event")? })
}

/// Handles an event unless it was handled before. Make your changes to the database in this
/// transaction; effects elsewhere must be idempotent.
fn handle_once(database: &mut Connection, event: &Event<'_>) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    if transaction.execute("INSERT OR IGNORE INTO handled VALUES (?1)", [&event.id])? == 1 {
        // On one line: in JSON, line breaks occur only between tokens.
        let body = event.body.get().replace(['\r', '\n'], " ");
        println!(r#"{{"id":{},"event":{body}}}"#, json!(event.id));
    }
    transaction.commit()
}
