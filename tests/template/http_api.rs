//! The routes and indexes of order-api against its `OpenAPI` document and the template.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use emulator::template::{SecondaryIndex, Template};
use engine::{CustomerIndexKey, Digest, Row, RowBody, RowKey};
use jiff::Timestamp;
use serde_json::Value;
use workflow_tests::world::root;

use crate::{harness::Harness, template};

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

fn paths() -> Value {
    document()["paths"].clone()
}

fn document() -> Value {
    // Used as a YAML parser here.
    let document = Template::as_spelled(&root().join("functions/order-api/openapi.yaml"));
    document.expect("the document is readable")
}

#[test]
fn the_stages_of_an_orders_status_are_those_of_the_happy_path() {
    let described = document()["components"]["schemas"]["Stage"]["enum"].clone();
    let stages: Vec<_> = contracts::happy_path().map(|spec| spec.name.name()).collect();
    assert_eq!(described, Value::from(stages));
}

/// The detail of a problem document.
fn detail(response: &Value) -> String {
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap_or_default())
        .expect("the body is a problem document");
    body["detail"].as_str().expect("a detail").to_owned()
}

#[tokio::test]
async fn every_method_is_described_or_not_allowed() {
    let harness = Harness::start().await;
    let nothing_here = detail(&harness.http("GET", "/nowhere", "").await);
    for (path, operations) in paths().as_object().expect("there are paths") {
        let operations = operations.as_object().expect(path);
        let described: BTreeSet<_> = operations.keys().map(|it| it.to_uppercase()).collect();
        for method in METHODS {
            let response = harness.http(method, &path.replace("{orderId}", "ord-1"), "").await;
            let is_allowed = response["statusCode"] != 405;
            assert_eq!(is_allowed, described.contains(method), "{method} {path}");
            if method == "OPTIONS" {
                assert_eq!(response["body"], "", "{method} {path}");
            } else {
                assert_ne!(detail(&response), nothing_here, "{method} {path}");
            }
            if !is_allowed || method == "OPTIONS" {
                let allow = response["headers"]["allow"].as_str().expect("an Allow header");
                let allow: BTreeSet<_> = allow.split(", ").map(str::to_owned).collect();
                assert_eq!(allow, described, "{path}");
            }
        }
    }
}

#[test]
fn an_issuer_of_tokens_comes_with_their_audience_and_the_claim_of_the_customer() {
    let required = crate::template_yaml::TemplateYaml::read().required_with("JwtIssuer");
    assert_eq!(required, ["CustomerClaim", "JwtAudience"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_wait_ends_before_api_gateway_gives_up_however_late_it_begins() {
    let harness = Harness::start().await;
    for (elapsed_ms, granted) in
        [(0, 2), (23_500, 1), (24_500, 0), (29_000, 0), (86_400_000, 2), (-5_000, 2)]
    {
        let began = std::time::Instant::now();
        let response = harness.wait(elapsed_ms, 2).await;
        let applied = &response["headers"]["preference-applied"];
        assert_eq!(*applied, format!("wait={granted}"), "after {elapsed_ms} ms");
        assert!(began.elapsed().as_secs() >= granted, "after {elapsed_ms} ms");
    }
}

#[tokio::test]
async fn a_process_has_a_bound_of_waits_and_answers_at_once_beyond_it() {
    let harness = Harness::start().await;
    let waits =
        futures::future::join_all((0..order_api::MAX_WAITS + 4).map(|_| harness.wait(0, 1)));
    let waits = waits.await;
    let applied = waits.iter().map(|it| it["headers"]["preference-applied"].as_str());
    let waited = applied.filter(|it| *it == Some("wait=1")).count();
    assert_eq!(waited, order_api::MAX_WAITS);
    for response in waits {
        assert_eq!(response["statusCode"], 200);
    }
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_those_that_are_described() {
    let harness = Harness::start().await;
    for path in ["/", "/nowhere", "/ordersord-1"] {
        let response = harness.http("GET", path, "").await;
        assert_eq!(response["statusCode"], 404, "{path}");
        let detail = detail(&response);
        let named: BTreeSet<_> =
            detail.split([' ', ',']).filter(|word| word.starts_with('/')).collect();
        let paths = paths();
        let described = paths.as_object().expect("there are paths").keys();
        assert_eq!(named, described.map(String::as_str).collect());
    }
}

#[tokio::test]
async fn the_indexes_are_those_that_are_queried_and_their_keys_are_stored_in_first_rows() {
    let harness = Harness::start().await;
    let response = harness.http("GET", "/orders", "customerId=cust-1").await;
    assert_eq!(response["statusCode"], 200, "{response}");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let scheduled = order_api::Scheduled { at: Timestamp::UNIX_EPOCH, accepted_since: None };
    harness.api.recover(scheduled, deadline).await.expect("nothing is open");
    let mut queried = BTreeMap::new();
    for query in harness.requests("Query") {
        let condition = query["KeyConditionExpression"].as_str().expect("a condition");
        let attribute = condition.split(' ').next().expect("an attribute").to_owned();
        queried.insert(query["IndexName"].as_str().expect("an index").to_owned(), attribute);
    }

    let indexes: Vec<_> = template().tables.into_iter().flat_map(|table| table.indexes).collect();
    let partition_key = |index: &SecondaryIndex| {
        let key = index.key.first().expect("a key");
        (index.name.clone(), key.attribute.clone())
    };
    assert_eq!(queried, indexes.iter().map(partition_key).collect());
    let order_id = contracts::OrderId::parse("ord-1").expect("an id");
    let event = contracts::EventType::OrderCreated;
    let event = contracts::StoredEvent::new(event, &order_id, "corr", Timestamp::UNIX_EPOCH, "{}");
    let row = Row {
        key: RowKey { id: "ord-1".to_owned(), stage: contracts::StageName::OrderApi },
        body: RowBody::Event(event),
        digest: Digest::of(b""),
        expires_at: 0,
        customer_index: Some(CustomerIndexKey {
            customer_id: "cust-1".to_owned(),
            accepted_at: "1970-01-01T00:00:00.000Z".to_owned(),
        }),
    };
    let key = RowKey { stage: contracts::StageName::Validator, ..row.key.clone() };
    let later = Row { key, customer_index: None, ..row.clone() }.to_item();
    let first = row.to_item();
    let added: BTreeSet<_> = first.keys().filter(|name| !later.contains_key(*name)).collect();
    let keys = indexes.iter().flat_map(|index| &index.key).map(|key| &key.attribute);
    assert_eq!(keys.collect::<BTreeSet<_>>(), added);
}

#[test]
fn rows_have_the_key_and_the_time_to_live_of_the_orders_table() {
    let template = template();
    let table = template.tables.iter().find(|it| it.logical_id == "OrdersTable").unwrap();
    let key = RowKey { id: "ord-1".to_owned(), stage: contracts::StageName::OrderApi };
    let declared: BTreeSet<_> = table.key.iter().map(|key| key.attribute.clone()).collect();
    assert_eq!(key.to_item().into_keys().collect::<BTreeSet<_>>(), declared);
    assert_eq!(table.time_to_live.as_deref(), Some(engine::row::attribute::EXPIRES_AT));
}
