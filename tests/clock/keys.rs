//! Idempotency keys, page tokens and lists over a jump of the API's clock.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tokio::time::timeout;
use workflow_tests::{api::Api, stages::set_clock_ahead};

use crate::{HOUR, OFFSETS, order, published::Published, stages};

#[tokio::test]
async fn one_idempotency_key_is_one_order_whatever_the_clock_says() {
    let stages = stages().await;
    let (api, mut tap) = (Api::of(&stages), stages.tap().await);
    let body = order("rich").to_string();
    let mut responses = Vec::new();
    for ahead in OFFSETS.into_iter().chain(OFFSETS) {
        set_clock_ahead(ahead);
        let key = [("idempotency-key", "key-1")];
        let response = api.send("rich", ("POST", "/orders"), &key, &body).await;
        assert_eq!(response.status, 202, "{response:?}");
        responses.push(response);
    }
    responses.dedup();
    assert_eq!(responses.len(), 1, "{responses:?}");
    assert_eq!(stages.scan("OrdersTable").await.len(), 1);
    let mut published = Published::default();
    let order_id = responses[0].body["orderId"].as_str().unwrap();
    let all_published = async {
        while published.times(order_id, "OrderCreated") < OFFSETS.len() * 2 {
            published.add(&tap.next().await.unwrap());
        }
    };
    timeout(Duration::from_secs(60), all_published).await.expect("an event for each response");
}

#[tokio::test]
async fn a_list_over_pages_has_every_order_once_while_the_clock_jumps() {
    let stages = stages().await;
    let api = Api::of(&stages);
    let mut sent = BTreeSet::new();
    for ahead in OFFSETS.into_iter().cycle().take(9) {
        set_clock_ahead(ahead);
        assert!(sent.insert(api.accepted("rich", &order("rich")).await));
    }
    let (mut listed, mut times, mut target) =
        (BTreeSet::new(), Vec::new(), "/orders?customerId=rich&limit=2".to_owned());
    for ahead in OFFSETS.into_iter().cycle() {
        // The page's token was written on another clock.
        set_clock_ahead(ahead);
        let page = api.send("rich", ("GET", &target), &[], "").await;
        assert_eq!(page.status, 200, "{page:?}");
        for order in page.body["orders"].as_array().unwrap() {
            let order_id = order["orderId"].as_str().unwrap().to_owned();
            assert!(listed.insert(order_id), "{order} is listed twice");
            times.push(order["acceptedAt"].as_str().unwrap().to_owned());
        }
        let Value::String(token) = &page.body["nextPageToken"] else { break };
        target = format!("/orders?customerId=rich&limit=2&pageToken={token}");
    }
    assert_eq!(listed, sent);
    times.reverse();
    assert!(times.is_sorted(), "newest first, by the clock of their intake: {times:?}");
}

#[tokio::test]
async fn a_clock_that_goes_back_hides_no_order_that_was_accepted_before() {
    let stages = stages().await;
    let api = Api::of(&stages);
    set_clock_ahead(HOUR);
    let order_id = api.accepted("rich", &order("rich")).await;
    for ahead in OFFSETS {
        set_clock_ahead(ahead);
        let status = api.send("rich", ("GET", &format!("/orders/{order_id}")), &[], "").await;
        assert_eq!(status.status, 200, "{ahead:#}: {status:?}");
        let list = api.send("rich", ("GET", "/orders?customerId=rich"), &[], "").await;
        assert_eq!(list.body["orders"][0]["orderId"], *order_id, "{ahead:#}: {list:?}");
    }
}
