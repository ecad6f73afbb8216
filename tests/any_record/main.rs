//! Arbitrary records on every topic: every stage handles each of them twice.
#![expect(clippy::indexing_slicing, reason = "a test stops at the first failure")]

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use contracts::{EventType, Topic};
use proptest::prelude::*;
use serde_json::{Value, json};

use workflow_tests::stages::{Record, Stages};

/// A valid event of a new order, because a stage decides once for each order.
fn event(event_type: EventType) -> Value {
    static ORDERS: AtomicUsize = AtomicUsize::new(0);
    let number = ORDERS.fetch_add(1, Ordering::Relaxed);
    json!({
        "eventType": event_type.name(), "orderId": format!("ord-{number}"), "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z",
        "payload": {
            "customerId": "cust-1", "items": [{ "sku": "A", "quantity": 1 }], "totalAmount": 1,
        },
    })
}

/// A valid event with one field replaced.
fn with(event_type: EventType, field: &str, value: Value) -> Record {
    let mut event = event(event_type);
    event[field] = value;
    Record::of(event.to_string())
}

/// A valid event with its payload replaced.
fn with_payload(event_type: EventType, payload: &str) -> Record {
    let event = event(event_type);
    let own = event["payload"].to_string();
    Record::of(event.to_string().replace(&own, payload))
}

/// One record of each class that has failed a stage or might.
fn known(event_type: EventType) -> Vec<(&'static str, Record)> {
    let skus: Vec<Value> =
        (0..120).map(|it| json!({ "sku": format!("SKU-{it}"), "quantity": 1 })).collect();
    let items = json!({ "customerId": "c", "items": skus, "totalAmount": 1 }).to_string();
    let errors = format!(r#"{{"items":[{}7]}}"#, "7,".repeat(5_000));
    let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let good = |order_id: &str| {
        let mut event = event(event_type);
        event["orderId"] = order_id.into();
        Record::of(event.to_string())
    };
    let trace = ("traceparent".to_owned(), vec![b'0'; 1024 * 1024]);
    let header = |number: usize| (format!("header-{number}"), vec![0, 255]);
    vec![
        ("no bytes", Record::default()),
        ("an empty correlationId", with(event_type, "correlationId", "".into())),
        (
            "a correlationId of 420 KB",
            with(event_type, "correlationId", "c".repeat(420_000).into()),
        ),
        ("an eventType of 420 KB", with(event_type, "eventType", "e".repeat(420_000).into())),
        ("combining marks", with(event_type, "eventType", "\u{301}".repeat(123 * 1024).into())),
        ("an unknown field of 410 KB", with(event_type, "unknown", "u".repeat(410_000).into())),
        ("an orderId of 1 KB of quotes", with(event_type, "orderId", "\"".repeat(1_024).into())),
        ("120 SKUs", with_payload(event_type, &items)),
        ("thousands of errors", with_payload(event_type, &errors)),
        ("100,000 levels", with_payload(event_type, &nested)),
        (
            "a private key of serde_json",
            with_payload(
                event_type,
                r#"{"customerId":{"$serde_json::private::Number":"7"},"$serde_json::private::RawValue":"{"}"#,
            ),
        ),
        (
            "a failureReason of 420 KB",
            with_payload(event_type, &json!({ "failureReason": "r".repeat(420_000) }).to_string()),
        ),
        ("a failureReason that is an object", with_payload(event_type, r#"{"failureReason":{}}"#)),
        ("a lone surrogate", with_payload(event_type, r#"{"customerId":"\ud800"}"#)),
        ("a repeated field", with_payload(event_type, r#"{"a":1,"a":2}"#)),
        (
            "numbers beyond a decimal",
            with_payload(
                event_type,
                r#"{"customerId":"c","items":[{"sku":"A","quantity":1e400}],"totalAmount":1e400}"#,
            ),
        ),
        ("a traceparent of 1 MB", Record { headers: vec![trace], ..good("ord-trace") }),
        ("10,000 headers", Record { headers: (0..10_000).map(header).collect(), ..good("ord-h") }),
        ("a key that is a name", Record { key: Some(b"Jane Doe".to_vec()), ..Record::of("7") }),
        ("a failure of 101 levels", {
            let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
            with_payload(EventType::OrderPaymentFailed, &nested)
        }),
        ("a valid event", good("ord-good")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn known_records_are_handled_twice_on_every_topic() {
    let stages = Stages::start().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    // `reserved` is missing.
    let stock = [("sku", text("A")), ("available", AttributeValue::N("1000".to_owned()))];
    stages.put("StockTable", &stock).await;
    let mut records = 0;
    for event_type in EventType::ALL {
        for (name, record) in known(*event_type) {
            records += 1;
            println!("{event_type}: {name}");
            deliver_twice(&stages, event_type.topic(), record).await;
        }
    }
    assert_eq!(records, 9 * 21);
}

/// Stores the record as its publisher's event, because stages act on stored events, and delivers it
/// twice to every function that its topic triggers.
async fn deliver_twice(stages: &Stages, topic: Topic, record: Record) {
    stages.store(&record.value).await;
    stages.deliver(topic, &[record], 2).await;
}

/// Arbitrary bytes, arbitrary JSON, and events with arbitrary fields.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just("null".to_owned()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?",
        ".{0,40}".prop_map(|text| Value::from(text).to_string()),
    ];
    let json = json.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(("[a-zA-Z$:]{0,12}", inner), 0..4).prop_map(|fields| {
                let fields = fields.iter().map(|(name, value)| format!("{name:?}:{value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    let fields = ["eventType", "orderId", "correlationId", "timestamp", "payload", "unknown"];
    let field = prop::sample::select(fields.to_vec());
    let types = prop::sample::select(EventType::ALL.to_vec());
    let changed = (types, field, json.clone()).prop_map(|(event_type, field, value)| {
        let mut event = event(event_type);
        event[field] = "PLACE".into();
        event.to_string().replace("\"PLACE\"", &value).into_bytes()
    });
    let parts = ["customerId", "items", "totalAmount", "failureReason", "source", "malformed"];
    let part = prop::sample::select(parts.to_vec());
    let types = prop::sample::select(EventType::ALL.to_vec());
    let payload = (types, part, json.clone()).prop_map(|(event_type, part, value)| {
        let mut event = event(event_type);
        event["payload"][part] = "PLACE".into();
        event.to_string().replace("\"PLACE\"", &value).into_bytes()
    });
    prop_oneof![any::<Vec<u8>>(), json.prop_map(String::into_bytes), changed, payload]
}

#[test]
fn any_record_is_handled_twice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stages = runtime.block_on(Stages::start());
    let headers = prop::collection::vec(("[a-z]{1,12}", any::<Vec<u8>>()), 0..3);
    let key = prop::option::of(any::<Vec<u8>>());
    let topics = prop::sample::select(Topic::ALL.to_vec());
    proptest!(ProptestConfig::with_cases(600), |(
        topic in topics, value in any_value(), key in key, headers in headers,
    )| {
        let record = Record { value, key, headers };
        runtime.block_on(deliver_twice(&stages, topic, record));
    });
}
