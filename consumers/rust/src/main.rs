//! Reads the order workflow's events and handles each once, however often it comes.
//!
//! Handling is printing, here: one line of JSON for each event. docs/consume.md explains it.
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

/// An event, and the id that is the same however often it is published.
struct Event<'a> {
    id: &'a str,
    /// As it was sent, every digit included: parse the fields that you need from it.
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
        // An offset is committed below, once what came before it is handled.
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut skipped = 0_u64;
    for message in &consumer {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("{error}: the client goes on by itself");
                continue;
            }
        };
        match read(&message) {
            // A fault of the database is not the record's: end here, and it comes again.
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

/// The event of a record, unless it is malformed.
fn read<'a>(message: &'a BorrowedMessage<'_>) -> Result<Event<'a>, &'static str> {
    let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let id = headers.find(|header| header.key == "ce_id").and_then(|header| header.value);
    let id = id.and_then(|id| str::from_utf8(id).ok()).ok_or("without ce_id")?;
    let value = message.payload().unwrap_or_default();
    let body = serde_json::from_slice::<Envelope<'_>>(value).and(serde_json::from_slice(value));
    Ok(Event { id, body: body.map_err(|_| "not an event")? })
}

/// Handles an event that was not handled before. What handling changes in the database belongs into
/// this transaction; what it changes elsewhere must bear being done twice.
fn handle_once(database: &mut Connection, event: &Event<'_>) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    if transaction.execute("INSERT OR IGNORE INTO handled VALUES (?1)", [&event.id])? == 1 {
        // On one line: JSON has line breaks between its tokens only.
        let body = event.body.get().replace(['\r', '\n'], " ");
        println!(r#"{{"id":{},"event":{body}}}"#, json!(event.id));
    }
    transaction.commit()
}
