//! Checks the published `AsyncAPI` document against the code and the template.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use contracts::{EventType, Topic};
use serde_json::{Value, json};
use workflow_tests::{functions::FUNCTIONS, world::root};

use crate::{
    functions::{published_events, stages},
    template,
};

/// The function's name, `send` or `receive`, and the topic.
type Operation = (String, String, Topic);

fn document() -> Value {
    let path = root().join("shared/contracts/asyncapi.yaml");
    let text = fs::read_to_string(&path).expect("the document is readable");
    serde_saphyr::from_str(&text).expect("the document is YAML")
}

/// The topic of a reference to a channel or to a part of one.
fn topic(reference: &str) -> Topic {
    let name = reference.trim_start_matches("#/channels/").split('/').next().unwrap_or_default();
    Topic::from_name(name).expect(name)
}

/// The operations of the document, each with its events.
fn operations(document: &Value) -> BTreeMap<Operation, BTreeSet<EventType>> {
    let operations = document["operations"].as_object().expect("there are operations");
    let operations = operations.values().map(|operation| {
        let text = |it: &Value| it.as_str().expect("text").to_owned();
        let messages = operation["messages"].as_array().expect("the operation has messages");
        let names = messages.iter().map(|it| text(&it["$ref"]));
        let events = names.filter_map(|it| EventType::from_name(it.rsplit('/').next()?)).collect();
        let function = text(&operation["tags"][0]["name"]);
        let topic = topic(operation["channel"]["$ref"].as_str().expect("a channel"));
        ((function, text(&operation["action"]), topic), events)
    });
    operations.collect()
}

#[test]
fn the_published_document_is_what_the_code_does() {
    let mut expected: BTreeMap<Operation, BTreeSet<EventType>> = BTreeMap::new();
    for spec in FUNCTIONS {
        let operation = |action: &str, event: EventType| {
            (spec.name.to_owned(), action.to_owned(), event.topic())
        };
        for event in published_events(&spec) {
            expected.entry(operation("send", event)).or_default().insert(event);
        }
        for event in stages(&spec).flat_map(|stage| stage.consumed_events()) {
            expected.entry(operation("receive", event)).or_default().insert(event);
        }
    }
    assert_eq!(operations(&document()), expected);
    let mapped: BTreeSet<_> = template().mappings.into_iter().map(|it| it.topic).collect();
    let received = expected.keys().filter(|(_, action, _)| action == "receive");
    let received: BTreeSet<_> = received.map(|(_, _, topic)| topic.name().to_owned()).collect();
    assert_eq!(received, mapped);
}

#[test]
fn every_topic_and_event_is_published_with_its_schema_and_its_headers() {
    let document = document();
    let channels = document["channels"].as_object().expect("there are channels");
    assert_eq!(channels.len(), Topic::ALL.len());
    for topic in Topic::ALL {
        let channel = &channels[topic.name()];
        assert_eq!(channel["address"], topic.name());
        assert_eq!(channel["bindings"]["kafka"]["topic"], topic.name());
        let carried = EventType::ALL.iter().filter(|event| event.topic() == *topic);
        let carried = carried.map(|event| {
            let reference = json!({ "$ref": format!("#/components/messages/{event}") });
            (event.name().to_owned(), reference)
        });
        assert_eq!(channel["messages"], Value::Object(carried.collect()), "{topic}");
    }
    let messages = document["components"]["messages"].as_object().expect("there are messages");
    assert_eq!(messages.len(), EventType::ALL.len());
    for event in EventType::ALL {
        let message = &messages[event.name()];
        assert_eq!(message["name"], event.name());
        assert_eq!(message["payload"]["schema"]["$ref"], format!("schemas/{event}.json"));
        assert_eq!(message["traits"], json!([{ "$ref": "#/components/messageTraits/event" }]));
    }
    let every = &document["components"]["messageTraits"]["event"];
    assert_eq!(every["headers"]["$ref"], "schemas/headers.json");
    assert_eq!(every["contentType"], "application/json");
    assert_eq!(every["bindings"]["kafka"]["key"]["type"], "string");
}
