//! The sample events of `events/`: each is handled as its name says.

use std::{collections::BTreeMap, fs};

use contracts::EventType;
use emulator::invoke::InvokeResponse;
use serde_json::{Value, json};
use workflow_tests::world::{World, root};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_file_is_handled_as_its_name_says() {
    // One of the requests has a token that names no customer.
    let mut world = World::start_with(&[("CUSTOMER_CLAIM", "none")]).await;
    world.stock("ITEM-A", 1_000).await;
    world.account("cust-1", "100000").await;
    let files = event_files();
    assert!(files.len() >= 20, "{:?}", files.keys());
    for ((function, situation), event) in &files {
        let response = invoke(&world, function, event).await;
        match situation.as_str() {
            "post-order" | "post-order-with-token" => assert_eq!(response["statusCode"], 202),
            "get-order" | "cancel-order" => assert_eq!(response["statusCode"], 404),
            "recovery" => assert!(response[0]["open"].is_number(), "{response}"),
            "list-orders" => assert_eq!(response["statusCode"], 200),
            // CORS is off by default.
            "preflight" => {
                assert_eq!(response["statusCode"], 204);
                assert_eq!(response["headers"].get("access-control-allow-methods"), None);
            }
            _ => assert_eq!(response, json!({ "batchItemFailures": [] }), "{function}/{situation}"),
        }
    }

    // Redeliver everything.
    for ((function, situation), event) in &files {
        let response = invoke(&world, function, event).await;
        assert_eq!(response["batchItemFailures"].as_array().map_or(0, Vec::len), 0, "{situation}");
    }
    for order_id in ["ord-good-1", "ord-duplicate-1", "ord-partition-11", "ord-no-key-1"] {
        world.ended(order_id).await;
        let created = world.until_event(order_id, EventType::OrderValidated, 2).await;
        let mut bodies: Vec<_> =
            created.into_iter().filter(|(it, _)| *it == EventType::OrderValidated).collect();
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{order_id}");
    }
    assert_eq!(world.ended("ord-good-1").await["status"], "COMPLETED");
    assert_eq!(world.ended("ord-declined-1").await["failedStage"], "payment");
    assert_eq!(world.ended("ord-invalid-1").await["failedStage"], "validator");
    for (order_id, code) in [
        ("order.created-1-41", "MALFORMED_EVENT"),
        ("ord-of-the-key", "MALFORMED_EVENT"),
        ("order.created-3-41", "MALFORMED_EVENT"),
        ("ord-stray-1", "UNEXPECTED_EVENT"),
        ("order.created-5-41", "MALFORMED_EVENT"),
        ("ord-invalid-1", "VALIDATION_FAILED"),
    ] {
        let reports = world.until_event(order_id, EventType::OrderValidationFailed, 2).await;
        for (_, body) in reports.iter().filter(|(it, _)| *it == EventType::OrderValidationFailed) {
            assert!(body.contains(&format!(r#""failureReason":"{code}: "#)), "{body}");
        }
    }
    for (order_id, text) in [
        ("ord-unknown-fields-1", r#""tenant":{"id":"t-9","tags":["a","b"]}"#),
        ("ord-unknown-fields-1", r#""gift":{"wrap":true,"note":"für Müller ☕"},"channel":null"#),
        ("ord-huge-numbers-1", r#""serial":123456789012345678901234567890"#),
        ("ord-huge-numbers-1", r#""weight":0.1234567890123456789012345678901234567890"#),
    ] {
        let events = world.until_event(order_id, EventType::OrderCompleted, 1).await;
        let (_, completed) = events.iter().find(|it| it.0 == EventType::OrderCompleted).unwrap();
        assert!(completed.contains(text), "{completed}");
    }
    world.stop().await;
}

/// The events by function and situation: `events/FUNCTION/SITUATION.json`.
pub(crate) fn event_files() -> BTreeMap<(String, String), Value> {
    let mut files = BTreeMap::new();
    for folder in fs::read_dir(root().join("events")).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            let event = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let name =
                |path: &std::path::Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            files.insert((name(&folder), name(&file)), event);
        }
    }
    files
}

pub(crate) async fn invoke(world: &World, function: &str, event: &Value) -> Value {
    let declared = world.stack.template.functions.iter().find(|it| it.name.binary == function);
    let name = &declared.expect("the function is in the template").name;
    let response =
        world.stack.invoke_client().invoke(name, event.to_string().into()).await.unwrap();
    match response {
        InvokeResponse::Returned(body) => serde_json::from_slice(&body).unwrap(),
        InvokeResponse::Failed(error) => panic!("{function} failed: {error:?}"),
    }
}
