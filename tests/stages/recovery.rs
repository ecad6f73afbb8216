//! The recovery, page by page: an order that is listed twice, and a page that fails.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use contracts::{StageName, StoredEvent, order_id::MAX_ORDER_ID_BYTES};
use emulator::tap::Tap;
use engine::{
    Digest, Row, RowBody, RowKey,
    row::{
        Item,
        attribute::{INTAKE, ORDER_ID, RESULT, STAGE},
        intake_partition,
    },
};
use futures::{StreamExt, stream};
use order_api::Scheduled;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use workflow_tests::{api::Api, stages::Stages};

const DAY: &str = "2026-02-06";
/// The limit of DynamoDB for a page.
const PAGE_BYTES: usize = 1024 * 1024;
/// The limit of `BatchWriteItem`.
const MAX_PUTS: usize = 25;
const TIMEOUT: Duration = Duration::from_secs(40);

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn id(row: &Item) -> String {
    row[ORDER_ID].as_s().unwrap().clone()
}

/// The only partition of the index that has orders here.
fn partition() -> AttributeValue {
    text(&intake_partition(DAY, 0))
}

/// The row of an order that was accepted at this second after 12:00.
fn first_row(order_id: &str, second: u8) -> Item {
    let event = json!({
        "eventType": "OrderCreated", "orderId": order_id, "correlationId": "corr-1",
        "timestamp": format!("{DAY}T12:00:{second:02}.000Z"), "payload": {},
    });
    Row {
        key: RowKey { id: order_id.to_owned(), stage: StageName::OrderApi },
        body: RowBody::Event(StoredEvent::read(event.to_string()).unwrap()),
        digest: Digest::of(b"{}"),
        expires_at: i64::MAX,
        customer_index: None,
    }
    .to_item()
}

/// The rows of open orders in the partition, a second apart, from this one on.
fn open_orders(second: u8, count: usize) -> Vec<Item> {
    let mut rows = Vec::new();
    for number in 0.. {
        if rows.len() == count {
            break;
        }
        let after = u8::try_from(rows.len()).unwrap();
        let row = first_row(&format!("ord-{second}-{number}"), second + after);
        rows.extend((row[INTAKE] == partition()).then_some(row));
    }
    rows
}

/// The rows of orders that have ended, more than a page has room for. Their ids are as long as ids
/// may be, so that they are as few as possible.
fn ended_page(second: u8) -> Vec<Item> {
    let numbers = 0..=PAGE_BYTES / MAX_ORDER_ID_BYTES;
    let rows = numbers.flat_map(|number| {
        let mut first = first_row(&format!("{number:0>MAX_ORDER_ID_BYTES$}"), second);
        first.insert(INTAKE.to_owned(), partition());
        let key = RowKey { id: id(&first), stage: StageName::Close };
        let mut close = key.to_item();
        close.insert(RESULT.to_owned(), text(r#"{"status":"COMPLETED"}"#));
        [first, close]
    });
    rows.collect()
}

async fn put_all(stages: &Stages, rows: Vec<Item>) {
    let table = &stages.context.orders;
    let put = |row: &Item| {
        let put = PutRequest::builder().set_item(Some(row.clone())).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let batches = rows.chunks(MAX_PUTS).map(|rows| {
        let rows = rows.iter().map(put).collect();
        table.client.batch_write_item().request_items(&table.name, rows).send()
    });
    let written = stream::iter(batches).buffer_unordered(4);
    let left = written.map(|response| response.unwrap().unprocessed_items.unwrap_or_default());
    assert!(left.all(async |left| left.is_empty()).await, "rows that were not put");
}

/// The ids on the first page of the partition, and whether another page follows.
async fn first_page(stages: &Stages) -> (Vec<String>, bool) {
    let table = &stages.context.orders;
    let query = table.client.query().table_name(&table.name).index_name("OrdersByIntake");
    let query = query.key_condition_expression(format!("{INTAKE} = :intake"));
    let page = query.expression_attribute_values(":intake", partition()).send().await.unwrap();
    (page.items().iter().map(id).collect(), page.last_evaluated_key.is_some())
}

/// Recovers every order of the partition.
async fn recover(stages: &Stages) -> Result<Value, String> {
    let at = |time: &str| format!("{DAY}T{time}Z").parse().unwrap();
    let scheduled = Scheduled { at: at("12:10:00"), accepted_since: Some(at("12:00:00")) };
    let recovered = Api::of(stages).api.recover(scheduled, Instant::now() + TIMEOUT).await;
    recovered.map(|it| serde_json::to_value(it).unwrap()).map_err(|error| error.to_string())
}

/// The keys of the next records, sorted.
async fn published(tap: &mut Tap, records: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..records {
        let record = timeout(TIMEOUT, tap.next()).await;
        let record = record.unwrap_or_else(|_| panic!("only {keys:?}")).unwrap();
        keys.push(String::from_utf8(record.key.unwrap()).unwrap());
    }
    keys.sort_unstable();
    keys
}

fn sorted_ids(rows: &[&[Item]]) -> Vec<String> {
    let mut ids: Vec<_> = rows.iter().copied().flatten().map(id).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_index_lists_twice_is_recovered_with_the_others_of_its_page() {
    let stages = Stages::start().await;
    let mut tap = stages.tap().await;
    let open = open_orders(0, 3);
    let mut copy = open[1].clone();
    copy.insert(STAGE.to_owned(), text("order-api copy"));
    put_all(&stages, [open.as_slice(), &[copy]].concat()).await;
    let listed = [&open[0], &open[1], &open[1], &open[2]].map(id);
    assert_eq!(first_page(&stages).await, (listed.to_vec(), false));

    let recovered = recover(&stages).await.unwrap();
    let counts = [&recovered[0]["open"], &recovered[0]["published"]];
    assert_eq!(counts, [open.len(); 2], "{recovered}");
    assert_eq!(published(&mut tap, open.len()).await, sorted_ids(&[&open]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_keeps_no_later_page_from_the_recovery() {
    let stages = Stages::start().await;
    let mut tap = stages.tap().await;
    let (rejected, later) = (open_orders(0, 1), open_orders(20, 3));
    put_all(&stages, [rejected.as_slice(), &ended_page(10), &later].concat()).await;
    let (first, has_more) = first_page(&stages).await;
    assert!(has_more && first.contains(&id(&rejected[0])));
    assert!(!later.iter().any(|row| first.contains(&id(row))), "all orders are on one page");

    // The first page has one open order, so the first request to publish is that of its event.
    let mock = stages.broker.mock().expect("an embedded broker");
    mock.request_errors(RDKafkaApiKey::Produce, &[RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let error = recover(&stages).await.unwrap_err();
    assert!(error.starts_with("recovery: publish"), "{error}");
    assert!(error.contains("MessageSizeTooLarge"), "{error}");
    assert_eq!(published(&mut tap, later.len()).await, sorted_ids(&[&later]));

    let recovered = recover(&stages).await.unwrap();
    assert_eq!(recovered[0]["published"], later.len() + 1, "{recovered}");
    assert_eq!(published(&mut tap, later.len() + 1).await, sorted_ids(&[&rejected, &later]));
}
