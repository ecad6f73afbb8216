//! `event` makes the files of `events/`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contracts::Envelope;
use serde_json::Value;

use super::workspace::root;

/// Runs `event` in a package's folder: the template is found from any folder of the workspace.
fn event(function: &str, input: &[u8]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["event", function])
        .current_dir(root().join("functions/validator"))
        .env_remove("KAFKA_BOOTSTRAP_SERVERS")
        .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    program.stdin.take().unwrap().write_all(input).unwrap();
    program.wait_with_output().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The JSON in a record's value; `None` for a malformed record.
fn value(record: &Value) -> Option<Value> {
    let value = BASE64_STANDARD.decode(record["value"].as_str()?).ok()?;
    Envelope::decode(&value).ok()?;
    serde_json::from_slice(&value).ok()
}

#[test]
fn the_event_of_every_file_makes_an_equal_file() {
    let mut compared = 0;
    for function in ["validator", "inventory", "payment", "notification", "order-api"] {
        for file in fs::read_dir(root().join("events").join(function)).unwrap() {
            let file = file.unwrap().path();
            let original = json(&file);
            let records = original["records"].as_object().into_iter().flat_map(|it| it.values());
            for record in records.flat_map(|it| it.as_array().unwrap()) {
                let Some(event_json) = value(record) else { continue };
                let made = event(function, event_json.to_string().as_bytes());
                if !made.status.success() {
                    // The record is on another topic than its event's.
                    assert!(file.ends_with("malformed-wrong-event-type.json"), "{made:?}");
                    continue;
                }
                let made: Value = serde_json::from_slice(&made.stdout).unwrap();
                for frame in ["eventSource", "eventSourceArn", "bootstrapServers"] {
                    assert_eq!(made[frame], original[frame], "{file:?}");
                }
                let topic = record["topic"].as_str().unwrap();
                let again = &made["records"][format!("{topic}-0")][0];
                assert_eq!(value(again).as_ref(), Some(&event_json), "{file:?}");
                let name = file.file_stem().unwrap().to_str().unwrap();
                if !["no-key", "missing-headers", "huge-numbers"].contains(&name) {
                    assert_eq!(again["key"], record["key"], "{file:?}");
                    assert_eq!(again["headers"], record["headers"], "{file:?}");
                }
                if name != "timestamp-minus-one" {
                    assert_eq!(again["timestampType"], record["timestampType"], "{file:?}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared >= 15, "{compared}");
}

#[test]
fn a_made_file_is_spelled_as_the_others() {
    let path = root().join("events/validator/order-created.json");
    let record = &json(&path)["records"]["order.created-0"][0];
    let made = event("validator", value(record).unwrap().to_string().as_bytes());
    let text = String::from_utf8(made.stdout).unwrap();
    let text =
        text.replace("\"offset\": 0", "\"offset\": 15").replace("1770379200000", "1770379200015");
    assert_eq!(text, fs::read_to_string(path).unwrap());
}

#[test]
fn a_wrong_event_is_an_error_that_says_what_to_do() {
    let path = root().join("events/inventory/order-validated.json");
    let validated = value(&json(&path)["records"]["order.validated-0"][0]).unwrap().to_string();
    for (function, input, expected) in [
        (
            "validator",
            validated.as_str(),
            "validator has no mapping for order.validated (use inventory)",
        ),
        ("inventory", "{}", "event 1 of standard input: "),
        ("inventory", "", "standard input has no event (give it one: `event inventory < FILE`)"),
    ] {
        let made = event(function, input.as_bytes());
        assert_eq!(made.status.code(), Some(2), "{made:?}");
        let error = String::from_utf8(made.stderr).unwrap();
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
}
