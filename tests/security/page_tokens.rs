//! Page tokens that were damaged, stolen, invented or made for another table.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use engine::Digest;
use workflow_tests::api::{Api, Response};

use crate::{MALLORY, VICTIM, order, stages};

async fn list(api: &Api, caller: &str, customer_id: &str, token: &str) -> Response {
    let target = format!("/orders?customerId={customer_id}&limit=1&pageToken={token}");
    api.send(caller, ("GET", &target), &[], "").await
}

/// A customer's first page: the token of the next.
async fn token(api: &Api, customer_id: &str) -> String {
    let target = format!("/orders?customerId={customer_id}&limit=1");
    let page = api.send(customer_id, ("GET", &target), &[], "").await;
    page.body["nextPageToken"].as_str().expect("a next page").to_owned()
}

/// A token as the API writes them; its digest is not a secret.
fn invented(customer_id: &str, accepted_at: &str, order_id: &str) -> String {
    let digest = Digest::of([accepted_at, order_id, customer_id].join("\n").as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode([&digest.to_string(), accepted_at, order_id].join("\n"))
}

#[tokio::test]
async fn a_page_token_opens_its_own_customers_list_and_no_other() {
    let stages = stages().await;
    let api = Api::of(&stages);
    let (mut victims, mut own) = (Vec::new(), BTreeSet::new());
    for _ in 0..3 {
        victims.push(api.accepted(VICTIM, &order(VICTIM)).await);
        own.insert(api.accepted(MALLORY, &order(MALLORY)).await);
    }
    let stolen = token(&api, VICTIM).await;
    assert_eq!(list(&api, VICTIM, VICTIM, &stolen).await.status, 200);
    assert_eq!(list(&api, MALLORY, VICTIM, &stolen).await.status, 403);
    assert_eq!(list(&api, MALLORY, MALLORY, &stolen).await.status, 400);

    let valid = token(&api, MALLORY).await;
    for length in 0..valid.len() {
        let truncated = list(&api, MALLORY, MALLORY, &valid[..length]).await;
        assert_eq!(truncated.status, 400, "{length} characters");
    }
    for index in (0..valid.len()).step_by(7) {
        let mut tampered = valid.clone().into_bytes();
        tampered[index] = if tampered[index] == b'Q' { b'R' } else { b'Q' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(list(&api, MALLORY, MALLORY, &tampered).await.status, 400, "{tampered}");
    }
    for huge in
        ["A".repeat(1024 * 1024), invented(MALLORY, "2026-02-06T12:00:00Z", &"o".repeat(70_000))]
    {
        assert_eq!(list(&api, MALLORY, MALLORY, &huge).await.status, 400, "{} bytes", huge.len());
    }
    // Of another table, or invented: it leads into the caller's own list.
    for (accepted_at, order_id) in [
        ("9999-01-01T00:00:00.000Z", "ord-of-another-table"),
        ("9999-01-01T00:00:00.000Z", victims[0].as_str()),
        ("0000-01-01T00:00:00.000Z", victims[0].as_str()),
        ("2026-02-06T12:00:00+23:59", victims[2].as_str()),
    ] {
        let page = list(&api, MALLORY, MALLORY, &invented(MALLORY, accepted_at, order_id)).await;
        assert_eq!(page.status, 200, "{accepted_at}: {page:?}");
        for order in page.body["orders"].as_array().unwrap() {
            assert!(own.contains(order["orderId"].as_str().unwrap()), "{accepted_at}: {order}");
        }
    }
}
