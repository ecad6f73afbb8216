//! Record headers: CloudEvents attributes, and the request's trace context.

use contracts::{EventType, stored_event::HEADERS_SCHEMA};
use emulator::tap::TapRecord;
use serde_json::{Map, Value};
use workflow_tests::world::World;

use crate::{happy_events, journey, order, world};

const TRACESTATE: &str = "vendor=t61rcWkgMzE,rojo=00f067aa0ba902b7";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread")]
async fn every_event_has_the_published_headers_and_the_trace_of_its_request() {
    let mut world = world().await;
    let key = uuid::Uuid::new_v4().to_string();
    let traced = [
        ("idempotency-key", key.as_str()),
        ("traceparent", TRACEPARENT),
        ("traceparent", TRACEPARENT),
        ("tracestate", "vendor=t61rcWkgMzE"),
        ("tracestate", "rojo=00f067aa0ba902b7"),
    ];
    let order_id = post(&world, &traced, &order()).await;
    journey(&mut world, &order_id, 1).await;
    // The client repeats its request, and everything is published again.
    assert_eq!(post(&world, &traced, &order()).await, order_id);
    for event_type in happy_events() {
        world.until_event(&order_id, event_type, 2).await;
        let records = world.records(&order_id, event_type);
        assert!(records.len() >= 2, "{event_type}");
        for record in records {
            let headers = checked_headers(record);
            assert_eq!(headers["traceparent"], TRACEPARENT, "{event_type}");
            assert_eq!(headers["tracestate"], TRACESTATE, "{event_type}");
        }
    }

    let mut dear = order();
    dear["totalAmount"] = 1000.01.into();
    let order_id = post(&world, &[("traceparent", TRACEPARENT)], &dear).await;
    world.until_event(&order_id, EventType::OrderPaymentFailed, 1).await;
    for record in world.records(&order_id, EventType::OrderPaymentFailed) {
        assert_eq!(checked_headers(record)["traceparent"], TRACEPARENT);
    }

    // A tracestate without a valid traceparent is dropped.
    let malformed = [("traceparent", "00-1-1-01"), ("tracestate", TRACESTATE)];
    for headers in [&[][..], &malformed] {
        let order_id = post(&world, headers, &order()).await;
        journey(&mut world, &order_id, 1).await;
        for event_type in happy_events() {
            for record in world.records(&order_id, event_type) {
                let headers = checked_headers(record);
                assert_eq!(headers.get("traceparent"), None, "{event_type}");
                assert_eq!(headers.get("tracestate"), None, "{event_type}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_one_value_that_is_sent_twice_is_one_or_refused() {
    let world = world().await;
    for (name, value, other) in [
        ("idempotency-key", "k-1", "k-2"),
        ("x-correlation-id", "c-1", "c-2"),
        ("traceparent", TRACEPARENT, "00-12345678901234567890123456789012-1234567890123456-01"),
    ] {
        let equal = [("idempotency-key", "key"), (name, value), (name, value)];
        let equal = if name == "idempotency-key" { &equal[1..] } else { &equal[..] };
        let once = post(&world, &equal[..equal.len() - 1], &order()).await;
        world.ended(&once).await;
        assert_eq!(post(&world, equal, &order()).await, once, "{name}");

        let different = [(name, value), (name, other)];
        let response = world.request("POST", "/orders", &different, order().to_string()).await;
        assert_eq!(response.status().as_u16(), 400, "{name}");
        let problem: Value = response.json().await.unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{name} must have one value")), "{detail}");
    }
    assert_eq!(world.balance("cust-1").await, "975");
    world.stop().await;
}

async fn post(world: &World, headers: &[(&str, &str)], order: &Value) -> String {
    let response = world.request("POST", "/orders", headers, order.to_string()).await;
    assert_eq!(response.status().as_u16(), 202);
    let body: Value = response.json().await.unwrap();
    body["orderId"].as_str().unwrap().to_owned()
}

/// Checks an event's headers against their schema and the event; returns them.
fn checked_headers(record: &TapRecord) -> Map<String, Value> {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
    let headers: Map<String, Value> =
        record.headers.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    assert_eq!(headers.len(), record.headers.len(), "a header is repeated: {headers:?}");
    let schema = serde_json::from_str(HEADERS_SCHEMA).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let value = Value::Object(headers.clone());
    assert_eq!(schema.validate(&value).map_err(|error| error.to_string()), Ok(()), "{value}");

    let event: Value = serde_json::from_str(&text(&record.payload)).unwrap();
    let (event_type, order_id) = (event["eventType"].as_str(), event["orderId"].as_str().unwrap());
    assert_eq!(headers["ce_id"], format!("{order_id}/{}", event_type.unwrap()));
    assert_eq!(headers["ce_type"], event["eventType"]);
    assert_eq!(headers["ce_time"], event["timestamp"]);
    assert_eq!(headers["ce_subject"], event["orderId"]);
    assert_eq!(record.key.as_deref(), Some(order_id.as_bytes()));
    let stage = EventType::from_name(event_type.unwrap()).unwrap().published_by();
    assert_eq!(headers["ce_source"], format!("/order-workflow/{stage}"));
    headers
}
