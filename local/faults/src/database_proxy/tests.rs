//! The proxy in front of the embedded database, called through the SDK.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::ProvideErrorMetadata,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeDefinition, AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest,
        BillingMode, KeySchemaElement, KeyType, KeysAndAttributes, Put, ScalarAttributeType,
        TransactWriteItem,
    },
};
use emulator::{aws_settings::AwsSettings, database::Database};
use tokio::time::timeout;

use super::{Call, DatabaseProxy, Fault, Rejection};

const RECORDED: usize = 2;

pub(super) struct Harness {
    pub(super) proxy: DatabaseProxy,
    pub(super) client: Client,
    _database: Database,
}

impl Harness {
    pub(super) async fn start() -> Self {
        let database = Database::embedded(&AwsSettings::default(), "").await.unwrap();
        let proxy = DatabaseProxy::recording(database.endpoint(), RECORDED).await.unwrap();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&proxy.url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .build();
        let client = Client::from_conf(config);
        let id = AttributeDefinition::builder().attribute_name("id");
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let table = client.create_table().table_name("Rows").key_schema(key.build().unwrap());
        let id = id.attribute_type(ScalarAttributeType::S).build().unwrap();
        let table = table.attribute_definitions(id).billing_mode(BillingMode::PayPerRequest);
        table.send().await.unwrap();
        Self { proxy, client, _database: database }
    }

    /// Inserts rows by one batch of statements; returns the error of each, or of the request.
    pub(super) async fn insert(
        &self,
        ids: &[&str],
    ) -> Result<Vec<Option<BatchStatementErrorCodeEnum>>, String> {
        let statements = ids.iter().map(|id| {
            let statement = BatchStatementRequest::builder()
                .statement("INSERT INTO \"Rows\" VALUE {'id': ?}")
                .parameters(AttributeValue::S((*id).to_owned()));
            statement.build().unwrap()
        });
        let request = self.client.batch_execute_statement();
        let response = request.set_statements(Some(statements.collect())).send().await;
        let response = response.map_err(|error| error.code().unwrap_or("no code").to_owned())?;
        let responses = response.responses().iter();
        Ok(responses.map(|it| it.error().and_then(|error| error.code().cloned())).collect())
    }

    pub(super) async fn ids(&self) -> Vec<String> {
        let rows = self.client.scan().table_name("Rows").consistent_read(true).send().await;
        let rows = rows.unwrap().items.unwrap_or_default();
        let mut ids: Vec<_> = rows.iter().map(|row| row["id"].as_s().unwrap().clone()).collect();
        ids.sort();
        ids
    }
}

fn text(id: &str) -> String {
    format!("\"S\":\"{id}\"")
}

#[tokio::test]
async fn a_throttled_statement_leaves_the_others_of_its_batch_alone() {
    let harness = Harness::start().await;
    harness.proxy.throttle_item(&[&text("b")]);
    let errors = harness.insert(&["a", "b", "c"]).await;
    assert_eq!(errors, Ok(vec![None, Some(BatchStatementErrorCodeEnum::ThrottlingError), None]));
    assert_eq!(harness.ids().await, ["a", "c"]);
    assert_eq!(harness.insert(&["b"]).await, Ok(vec![None]));
}

#[tokio::test]
async fn a_batch_with_a_throttled_order_counts_as_a_try_of_each_of_its_orders() {
    let harness = Harness::start().await;
    harness.proxy.throttle(&[&text("a")]);
    harness.proxy.throttle(&[&text("b")]);
    harness.proxy.throttle(&[&text("b")]);
    let throttled = Err("ThrottlingException".to_owned());
    assert_eq!(harness.insert(&["a", "b"]).await, throttled);
    assert_eq!(harness.proxy.faults_left(), 1);
    assert_eq!(harness.insert(&["a"]).await, Ok(vec![None]));
    assert_eq!(harness.insert(&["b"]).await, throttled);
    assert_eq!(harness.ids().await, ["a"]);
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_or_cut_is_carried_out() {
    let harness = Harness::start().await;
    harness.proxy.lose_response(&[&text("a")]);
    harness.proxy.cut_response(&[&text("b")]);
    assert!(harness.insert(&["a"]).await.is_err());
    assert!(harness.insert(&["b"]).await.is_err());
    assert_eq!(harness.ids().await, ["a", "b"]);
    assert_eq!(harness.proxy.faults_left(), 0);
}

#[tokio::test]
async fn a_throttled_item_cancels_its_transaction_and_is_named_as_the_reason() {
    let harness = Harness::start().await;
    harness.proxy.keep_throttling_item(&[&text("b")]);
    let items = ["a", "b"].map(|id| {
        let put = Put::builder().table_name("Rows").item("id", AttributeValue::S(id.to_owned()));
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    });
    for _ in 0..2 {
        let request = harness.client.transact_write_items();
        let response = request.set_transact_items(Some(items.to_vec())).send().await;
        let error = response.unwrap_err().into_service_error();
        let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
            panic!("{error:?}");
        };
        let codes: Vec<_> = cancelled.cancellation_reasons().iter().map(|it| it.code()).collect();
        assert_eq!(codes, [Some("None"), Some("ThrottlingError")]);
    }
    assert!(harness.ids().await.is_empty());
    harness.proxy.clear_faults();
    assert_eq!(harness.proxy.faults_left(), 0);
}

#[tokio::test]
async fn a_repetition_of_a_held_request_is_held_too() {
    let harness = Harness::start().await;
    let mut held = harness.proxy.hold_response(&[&text("held")]);
    let first = harness.insert(&["held"]);
    tokio::pin!(first);
    let executed = async { assert!(held.executed().await) };
    tokio::select! {
        inserted = &mut first => panic!("{inserted:?}"),
        () = executed => {}
    }
    let again = harness.insert(&["held"]);
    tokio::pin!(again);
    assert!(timeout(Duration::from_millis(200), &mut again).await.is_err());
    drop(held);
    assert_eq!(first.await, Ok(vec![None]));
    assert_eq!(again.await, Ok(vec![Some(BatchStatementErrorCodeEnum::DuplicateItem)]));
    assert_eq!(harness.insert(&["other"]).await, Ok(vec![None]));
    assert_eq!(harness.proxy.faults_left(), 0);
}

#[tokio::test]
async fn every_exchange_is_reported_and_only_the_last_requests_are_recorded() {
    let harness = Harness::start().await;
    let (sender, mut exchanges) = tokio::sync::mpsc::unbounded_channel();
    harness.proxy.observe(move |exchange| {
        sender.send(exchange.clone()).ok();
    });
    harness.proxy.cut_response(&[&text("b")]);
    harness.proxy.throttle(&[&text("c")]);
    let mut held = harness.proxy.hold_response(&[&text("held")]);
    let reports = async {
        assert!(held.executed().await);
        assert_eq!((harness.proxy.in_flight(), exchanges.len()), (1, 0));
        drop(held);
    };
    let (inserted, ()) = tokio::join!(harness.insert(&["held"]), reports);
    assert_eq!(inserted, Ok(vec![None]));
    assert_eq!(harness.proxy.in_flight(), 0);
    assert_eq!(exchanges.try_recv().unwrap().fault, Some(Fault::HoldResponse));
    for id in ["a", "b", "c"] {
        harness.insert(&[id]).await.ok();
    }
    let mut reported = Vec::new();
    while let Ok(it) = exchanges.try_recv() {
        assert_eq!(it.operation, "BatchExecuteStatement");
        assert!(it.requested_at <= it.responded_at);
        let status = |reply: Option<super::Reply>| reply.map(|it| it.status.as_u16());
        reported.push((it.fault, status(it.executed), status(it.response)));
    }
    let throttled = (Some(Fault::ThrottleRequest), None, Some(400));
    assert_eq!(
        reported,
        [(None, Some(200), Some(200)), (Some(Fault::CutResponse), Some(200), None), throttled]
    );
    assert!(harness.proxy.requests(&text("a")).is_empty());
    assert_eq!(harness.proxy.requests("").len(), RECORDED);
}

async fn get(harness: &Harness, ids: &[&str]) -> Result<usize, String> {
    let keys = ids.iter().map(|id| [("id".to_owned(), AttributeValue::S((*id).to_owned()))].into());
    let keys = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build().unwrap();
    let response = harness.client.batch_get_item().request_items("Rows", keys).send().await;
    let response = response.map_err(|error| error.code().unwrap_or("no code").to_owned())?;
    let unprocessed = response.unprocessed_keys().unwrap();
    Ok(unprocessed.get("Rows").map_or(0, |keys| keys.keys().len()))
}

#[tokio::test]
async fn the_sdk_reads_every_error_of_a_whole_request_and_nothing_is_executed() {
    let harness = Harness::start().await;
    for (fault, code) in [
        (Fault::ThrottleRequest, "ThrottlingException"),
        (
            Fault::Reject(Rejection::ProvisionedThroughputExceeded),
            "ProvisionedThroughputExceededException",
        ),
        (Fault::Reject(Rejection::RequestLimitExceeded), "RequestLimitExceeded"),
        (Fault::Reject(Rejection::TransactionInProgress), "TransactionInProgressException"),
        (Fault::Reject(Rejection::InternalServerError), "InternalServerError"),
        (Fault::Reject(Rejection::ServiceUnavailable), "ServiceUnavailableException"),
        (Fault::Reset, "no code"),
    ] {
        let injected = harness.proxy.inject(fault, 1, |_| vec![0]);
        assert_eq!(harness.insert(&["a"]).await, Err(code.to_owned()));
        assert_eq!(injected.times(), 1);
    }
    assert!(harness.ids().await.is_empty());
}

#[tokio::test]
async fn keys_are_left_unprocessed_and_the_others_are_read() {
    let harness = Harness::start().await;
    let of_get = |places: &'static [usize]| {
        move |call: &Call| match call.operation == "BatchGetItem" {
            true => places.to_vec(),
            false => Vec::new(),
        }
    };
    harness.proxy.inject(Fault::UnprocessedKeys, 1, of_get(&[1]));
    harness.proxy.inject(Fault::UnprocessedKeys, 1, of_get(&[0, 1, 2]));
    assert_eq!(get(&harness, &["a", "b", "c"]).await, Ok(3));
    assert_eq!(get(&harness, &["a", "b", "c"]).await, Ok(0));
}
