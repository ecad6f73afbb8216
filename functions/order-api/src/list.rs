//! Lists a customer's orders, newest first, page by page.

use contracts::{StageName, order::MAX_KEY_BYTES};
use serde_json::{Value, json};
use stage::{Place, Row, retry::retry_until};
use tokio::time::Instant;

use crate::{
    answer::Answer,
    caller::Caller,
    conditional::tagged,
    page_token,
    problem::{problem, unavailable},
    request::Request,
    routes::{OrderApi, READ_TIMEOUT},
    status::{PENDING, with_end},
};

/// How many orders a page has, unless the client says another number.
const USUAL_LIMIT: u8 = 20;

/// The most orders of a page: what DynamoDB reads in one request.
const MAX_LIMIT: u8 = 100;

/// What a client asks for.
struct Wanted {
    customer_id: String,
    after: Option<Place>,
    limit: u8,
}

impl OrderApi {
    /// Answers `GET /orders`.
    pub(crate) async fn list(
        &self,
        request: &Request,
        caller: Caller<'_>,
    ) -> Result<Answer, Answer> {
        let Wanted { customer_id, after, limit } = wanted(request)?;
        if !caller.is_or_acts_for(&customer_id) {
            return Err(problem(403, "customerId must be your own"));
        }
        let (store, until) = (&self.clients.store, Instant::now() + READ_TIMEOUT);
        let page = retry_until(until, || store.orders_of(&customer_id, after.as_ref(), limit))
            .await
            .map_err(|trouble| unavailable(&trouble))?;
        let order_ids = || page.orders.iter().map(|place| place.order_id.as_str());
        let ends = retry_until(until, || store.rows_of_stage(StageName::Close, order_ids()))
            .await
            .map_err(|trouble| unavailable(&trouble))?;
        let orders = page.orders.iter().map(|place| entry(place, ends.get(&place.order_id)));
        let orders: Vec<Value> = orders.collect();
        let body = match page.orders.last().filter(|_| page.goes_on) {
            Some(last) => {
                let next = page_token::write(&customer_id, last);
                json!({ "orders": orders, "nextPageToken": next })
            }
            None => json!({ "orders": orders }),
        };
        let answer = Answer::new(200, "application/json", &body);
        Ok(tagged(answer, request.header("if-none-match")))
    }
}

fn wanted(request: &Request) -> Result<Wanted, Answer> {
    let customer_id = request.parameter("customerId")?.unwrap_or_default();
    if customer_id.trim().is_empty() || customer_id.len() > MAX_KEY_BYTES {
        let detail = format!("customerId must have 1 to {MAX_KEY_BYTES} bytes");
        return Err(problem(400, &detail));
    }
    let limit = match request.parameter("limit")? {
        None => USUAL_LIMIT,
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
    Ok(Wanted { customer_id, after, limit })
}

fn limit_of(text: &str) -> Option<u8> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|_| is_digits)?;
    (1..=MAX_LIMIT).contains(&limit).then_some(limit)
}

/// What a list says about an order: when it came in, and its end where it has one.
fn entry(place: &Place, close: Option<&Row>) -> Value {
    let entry = json!({
        "orderId": place.order_id,
        "acceptedAt": place.accepted_at,
        "status": PENDING,
    });
    with_end(entry, close)
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
        wanted(&request).err().map(|answer| answer.body().to_owned())
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, named) in [
            ("", "customerId"),
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
}
