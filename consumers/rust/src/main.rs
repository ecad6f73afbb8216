//! Reads the order workflow's events and handles each once, however often it comes.
//!
//! Handling is printing, here: one line of JSON for each event. docs/consume.md explains it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{env, error::Error};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{BorrowedMessage, Headers, Message},
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// An event, and the id that is the same however often it is published.
struct Event {
    id: String,
    /// Numbers keep their digits: `serde_json` with its feature `arbitrary_precision`.
    body: Value,
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
    for message in &consumer {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("{error}: the client goes on by itself");
                continue;
            }
        };
        match read(&message) {
            Some(event) => handle_once(&mut database, &event)?,
            None => eprintln!(
                "malformed: {} {} {}",
                message.topic(),
                message.partition(),
                message.offset()
            ),
        }
        consumer.commit_message(&message, CommitMode::Async)?;
    }
    Ok(())
}

/// The event of a record; `None` for a malformed record.
fn read(message: &BorrowedMessage<'_>) -> Option<Event> {
    let id = message.headers()?.iter().find(|header| header.key == "ce_id")?.value?;
    Some(Event {
        id: String::from_utf8(id.to_vec()).ok()?,
        body: serde_json::from_slice(message.payload()?).ok()?,
    })
}

/// Handles an event that was not handled before. What handling changes in the database belongs into
/// this transaction; what it changes elsewhere must bear being done twice.
fn handle_once(database: &mut Connection, event: &Event) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    if transaction.execute("INSERT OR IGNORE INTO handled VALUES (?1)", [&event.id])? == 1 {
        println!("{}", json!({ "id": event.id, "event": event.body }));
    }
    transaction.commit()
}
