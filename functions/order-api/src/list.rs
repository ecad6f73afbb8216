//! Lists a customer's orders, newest first, page by page.

use std::collections::HashMap;

use contracts::{StageName, order::MAX_KEY_BYTES};
use engine::{Row, RowKey, row::UnreadableRow};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    caller::Caller,
    etag::with_etag,
    orders::{OrderCursor, OrdersPage, list_by_customer, retry_until},
    page_token,
    problem::{problem, report_damaged, unavailable},
    request::Request,
    response::Response,
    routes::{OrderApi, READ_TIMEOUT},
    status::{PENDING, with_closing},
};

/// The orders of a page, unless the request has a limit.
const DEFAULT_LIMIT: u8 = 20;

/// The most orders of a page: what DynamoDB reads in one request.
const MAX_LIMIT: u8 = 100;

/// The most bytes of a page's orders in the response of the function. Lambda takes 6 MB of it.
const MAX_PAGE_BYTES: usize = 5 * 1024 * 1024;

/// The parameters of a list.
struct ListQuery {
    customer_id: String,
    after: Option<OrderCursor>,
    limit: u8,
}

impl OrderApi {
    /// Answers `GET /orders`.
    pub(crate) async fn list(
        &self,
        request: &Request,
        caller: Caller<'_>,
    ) -> Result<Response, Response> {
        let ListQuery { customer_id, after, limit } = parse(request)?;
        if !caller.may_act_for(&customer_id) {
            return Err(problem(403, "customerId must be your own"));
        }
        let (table, until) = (&self.context.orders, Instant::now() + READ_TIMEOUT);
        // The index still holds the orders whose rows have expired.
        let since = (self.context.clock)().checked_sub(self.context.row_ttl);
        let since = since.unwrap_or(Timestamp::MIN);
        let page = if after.as_ref().is_some_and(|it| it.is_before(since)) {
            // Everything after the cursor has expired, and DynamoDB refuses a key outside the range.
            OrdersPage { orders: Vec::new(), has_more: false }
        } else {
            let page = retry_until(until, || {
                list_by_customer(table, &customer_id, since, after.as_ref(), limit)
            });
            page.await.map_err(|error| unavailable(&error))?
        };
        let key = |order_id: &str| RowKey { id: order_id.to_owned(), stage: StageName::Close };
        let keys: Vec<_> = page.orders.iter().map(|cursor| key(&cursor.order_id)).collect();
        let closed = if keys.is_empty() {
            HashMap::new()
        } else {
            let closed = retry_until(until, || table.get_all(&keys)).await;
            closed.map_err(|error| unavailable(&error))?
        };
        let entries =
            page.orders.iter().zip(&keys).map(|(cursor, key)| entry(cursor, closed.get(key)));
        let orders = first_page(entries);
        let has_more = page.has_more || orders.len() < page.orders.len();
        let last = orders.len().checked_sub(1).and_then(|last| page.orders.get(last));
        let body = match last.filter(|_| has_more) {
            Some(last) => {
                let next = page_token::write(&customer_id, last);
                json!({ "orders": orders, "nextPageToken": next })
            }
            None => json!({ "orders": orders }),
        };
        let answer = Response::new(200, "application/json", &body);
        Ok(with_etag(answer, request.headers.list("if-none-match")))
    }
}

/// The entries that fit on one page; at least the first.
fn first_page(entries: impl Iterator<Item = Value>) -> Vec<Value> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        // The body is text inside of the response's JSON, where every quote takes two bytes.
        bytes += Value::String(entry.to_string()).to_string().len();
        if bytes > MAX_PAGE_BYTES && !page.is_empty() {
            break;
        }
        page.push(entry);
    }
    page
}

fn parse(request: &Request) -> Result<ListQuery, Response> {
    let customer_id = request.parameter("customerId")?;
    let customer_id = customer_id.ok_or_else(|| {
        problem(400, "customerId is missing: say whose orders, as in /orders?customerId=cust-1")
    })?;
    if customer_id.trim().is_empty() || customer_id.len() > MAX_KEY_BYTES {
        let detail = format!("customerId must have 1 to {MAX_KEY_BYTES} bytes");
        return Err(problem(400, &detail));
    }
    let limit = match request.parameter("limit")? {
        None => DEFAULT_LIMIT,
        Some(limit) => limit_of(&limit).ok_or_else(|| {
            problem(400, &format!("limit must be a whole number from 1 to {MAX_LIMIT}"))
        })?,
    };
    let after = match request.parameter("pageToken")? {
        None => None,
        Some(token) => Some(page_token::read(&customer_id, &token).ok_or_else(|| {
            problem(400, "pageToken must be the nextPageToken of this customer's last page")
        })?),
    };
    Ok(ListQuery { customer_id, after, limit })
}

fn limit_of(text: &str) -> Option<u8> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|_| is_digits)?;
    (1..=MAX_LIMIT).contains(&limit).then_some(limit)
}

/// An order in a list: when it was accepted, and how it ended. An order whose end cannot be read is
/// listed as pending, so that it hides no other.
fn entry(cursor: &OrderCursor, close: Option<&Result<Row, UnreadableRow>>) -> Value {
    let order_id = &cursor.order_id;
    let close = close
        .and_then(|row| row.as_ref().inspect_err(|error| report_damaged(error, order_id)).ok());
    let entry = json!({
        "orderId": order_id,
        "acceptedAt": cursor.accepted_at,
        "status": PENDING,
    });
    with_closing(entry, close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    fn refusal(query: &str) -> Option<String> {
        let request = request(&json!({
            "rawPath": "/orders", "rawQueryString": query,
            "requestContext": { "http": { "method": "GET" } },
        }));
        parse(&request).err().map(|answer| answer.body().to_owned())
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, named) in [
            ("", "customerId is missing: say whose orders"),
            ("limit=5", "customerId is missing"),
            ("customerId=", "customerId must have 1 to 256 bytes"),
            ("customerId=%20", "customerId"),
            ("customerId=a&customerId=b", "customerId must be given once"),
            ("customerId=a&limit=0", "limit"),
            ("customerId=a&limit=101", "limit"),
            ("customerId=a&limit=%2B5", "limit"),
            ("customerId=a&limit=", "limit"),
            ("customerId=a&pageToken=abc", "pageToken"),
        ] {
            let refusal = refusal(query).unwrap();
            assert!(refusal.contains(named), "{query}: {refusal}");
        }
        assert_eq!(refusal("customerId=a&limit=100"), None);
    }

    #[test]
    fn a_page_ends_before_the_response_is_too_large_for_lambda() {
        let entry = |bytes: usize| json!({ "failureReason": "\"".repeat(bytes) });
        let page = first_page((0..100).map(|_| entry(100_000)));
        assert!((10..100).contains(&page.len()), "{}", page.len());
        let answer = Response::new(200, "application/json", &json!({ "orders": page }));
        let response = serde_json::to_string(&answer.into_api_gateway()).unwrap();
        assert!(response.len() < 6 * 1024 * 1024, "{}", response.len());
        assert_eq!(first_page([entry(2_000_000), entry(1)].into_iter()).len(), 1);
        assert_eq!(first_page((0..100).map(|_| entry(100))).len(), 100);
    }
}
