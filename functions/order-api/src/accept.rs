//! Accepts an order: stores its first event, then publishes it. A stored order is never removed.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    EventType, Object, OrderId, StageName, StoredEvent, TraceContext,
    nesting::{MAX_NESTING, compact, is_nested_deeper},
    order::customer_id,
    order_id::ORDER_ID_PREFIX,
};
use engine::{Accepted, CustomerIndexKey, Digest, Row, RowBody, RowKey, error::Error};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    caller::Caller,
    problem::{order_unavailable, problem},
    request::{Request, order_path},
    response::Response,
    routes::OrderApi,
    status::PENDING,
};

/// The timeout for publishing. With [`STORE_TIMEOUT`], well below the 30 seconds of API Gateway.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(8);

/// The timeout for storing.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest body of an order. Stages add fields to it, and the row must stay below 400 KB.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The longest idempotency key, and the longest correlation id of a client.
const MAX_KEY_LENGTH: usize = 255;
const MAX_CORRELATION_ID_LENGTH: usize = 128;

/// Requests with the same key are the same order.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Read from the request, and set in the response.
const CORRELATION_ID: &str = "x-correlation-id";

impl OrderApi {
    /// Handles `POST /orders`.
    pub(crate) async fn accept(
        &self,
        request: &Request,
        caller: Caller<'_>,
    ) -> Result<Response, Response> {
        let given = request.headers.printable(CORRELATION_ID, MAX_CORRELATION_ID_LENGTH)?;
        self.accept_as(request, caller, given)
            .await
            .map_err(|error| error.with_some(CORRELATION_ID, given))
    }

    async fn accept_as(
        &self,
        request: &Request,
        caller: Caller<'_>,
        correlation_id: Option<&str>,
    ) -> Result<Response, Response> {
        let payload = payload(request)?;
        let order_id = self.order_id(request, caller)?;
        let row = self.intake_row(&order_id, &payload, correlation_id)?;
        if !caller.may_see(row.customer_index.as_ref()) {
            return Err(problem(403, "an order must name you as its customer: set customerId"));
        }
        let parent = request.headers.single("traceparent")?;
        let state = request.headers.list("tracestate");
        let trace = parent.and_then(|parent| TraceContext::parse(parent, state));
        self.store_and_publish(row, trace.as_ref()).await
    }

    async fn store_and_publish(
        &self,
        row: Row,
        trace: Option<&TraceContext>,
    ) -> Result<Response, Response> {
        let (digest, order_id) = (row.digest, row.key.id.clone());
        let until = Instant::now() + STORE_TIMEOUT;
        // A known order is published again: its first request may have stopped before that.
        let accepted = self.engine.accept(row, trace, until).await;
        let Accepted { row, published, .. } =
            accepted.map_err(|error| not_published(&error, &order_id, "may be stored"))?;
        if row.digest != digest {
            return Err(problem(
                422,
                "this Idempotency-Key was used for another order: use a new key",
            ));
        }
        // The row stays: another request may have responded with it, and a delivery that is
        // reported failed may have happened. A retry or the recovery publishes it.
        published.map_err(|error| not_published(&error.into(), &order_id, "is stored"))?;
        match &row.body {
            RowBody::Event(event) => Ok(accepted_response(event)),
            RowBody::Data(_) => Err(problem(500, "the stored order holds no event")),
        }
    }

    fn intake_row(
        &self,
        order_id: &OrderId,
        payload: &str,
        correlation_id: Option<&str>,
    ) -> Result<Row, Response> {
        let now = (self.context.clock)();
        let fields = Object::parse(payload)
            .map_err(|error| problem(400, &format!("the body must be a JSON object: {error}")))?;
        let correlation_id =
            correlation_id.map_or_else(|| format!("corr-{}", (self.new_id)()), str::to_owned);
        let event =
            StoredEvent::new(EventType::OrderCreated, order_id, &correlation_id, now, payload);
        // An order without a customer is in no list.
        let customer_index = customer_id(&fields).ok().map(|customer_id| CustomerIndexKey {
            customer_id: customer_id.into_owned(),
            accepted_at: event.timestamp.clone(),
        });
        Ok(Row {
            key: RowKey { id: order_id.to_string(), stage: StageName::OrderApi },
            customer_index,
            body: RowBody::Event(event),
            digest: Digest::of(payload.as_bytes()),
            expires_at: self.context.expires_at(now),
        })
    }

    /// A new id, or the one that is derived from the caller's idempotency key.
    fn order_id(&self, request: &Request, caller: Caller<'_>) -> Result<OrderId, Response> {
        let id = match request.headers.printable(IDEMPOTENCY_KEY, MAX_KEY_LENGTH)? {
            None => (self.new_id)().to_string(),
            Some(key) => Digest::of(caller.scoped(key).as_bytes()).to_string(),
        };
        OrderId::parse(&format!("{ORDER_ID_PREFIX}{id}"))
            .ok_or_else(|| problem(500, "the generated order id is malformed"))
    }
}

/// Reads the body: a JSON object, without white space between its tokens.
///
/// The validator checks the fields.
fn payload(request: &Request) -> Result<String, Response> {
    request.check_content_encoding()?;
    let body = request.body.as_deref().unwrap_or_default();
    let bytes = if request.is_base64_encoded {
        BASE64_STANDARD
            .decode(body)
            .map_err(|error| problem(400, &format!("the body is not base64: {error}")))?
    } else {
        body.as_bytes().to_vec()
    };
    if bytes.len() > MAX_BODY_BYTES {
        let detail = format!("an order must have at most {MAX_BODY_BYTES} bytes");
        return Err(problem(413, &detail));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| problem(400, &format!("the body must be UTF-8: {error}")))?;
    if text.trim_ascii().is_empty() {
        let detail = "the body is empty: it must be a JSON object with customerId, items and \
                      totalAmount";
        return Err(problem(400, detail));
    }
    Object::parse(&text)
        .map_err(|error| problem(400, &format!("the body must be a JSON object: {error}")))?;
    if is_nested_deeper(&text, MAX_NESTING) {
        return Err(problem(400, &format!("an order must nest at most {MAX_NESTING} levels")));
    }
    Ok(compact(&text))
}

fn not_published(error: &Error, order_id: &str, state: &str) -> Response {
    let detail = format!(
        "the order {state} as {order_id}, and is then published later: send the same request again \
         with the same Idempotency-Key, which is safe, or ask for /orders/{order_id}; without a key \
         it would be another order"
    );
    order_unavailable(error, order_id, &detail)
}

fn accepted_response(event: &StoredEvent) -> Response {
    let body = json!({
        "orderId": event.order_id.as_str(),
        "correlationId": event.correlation_id,
        "status": PENDING,
    });
    Response::new(202, "application/json", &body)
        .with("location", &order_path(event.order_id.as_str()))
        .with(CORRELATION_ID, &event.correlation_id)
}
