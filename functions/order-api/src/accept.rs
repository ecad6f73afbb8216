//! Takes an order in: stores its first event and publishes it, or neither.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    Envelope, EventType, JsonObject, OrderId, OutgoingEvent, StageName,
    nesting::{MAX_NESTING, nesting},
    order::customer_id,
};
use serde_json::{Value, json};
use stage::{Content, Digest, Listed, Publication, Put, Retry, Row, retry::retry_until};
use tokio::time::Instant;

use crate::{
    answer::Answer,
    caller::Caller,
    problem::{problem, unavailable},
    request::Request,
    routes::OrderApi,
    status::PENDING,
};

/// How long publishing is tried before the client is told to come again: with the time for storing
/// it stays well below the 30 seconds that API Gateway waits.
pub(crate) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(8);

/// How long storing is tried.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest body of an order. A stage adds to it, and the row has to stay below 400 KB.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The longest idempotency key, and the longest correlation id that a client may give.
const MAX_KEY_LENGTH: usize = 255;
const MAX_CORRELATION_ID_LENGTH: usize = 128;

/// The header that carries the correlation id in and out.
const CORRELATION_ID: &str = "x-correlation-id";

impl OrderApi {
    /// Answers `POST /orders`.
    pub(crate) async fn accept(
        &self,
        request: &Request,
        caller: Caller<'_>,
    ) -> Result<Answer, Answer> {
        let given = request.name_in_header(CORRELATION_ID, MAX_CORRELATION_ID_LENGTH)?;
        self.accept_as(request, caller, given)
            .await
            .map_err(|refusal| refusal.with_some(CORRELATION_ID, given))
    }

    async fn accept_as(
        &self,
        request: &Request,
        caller: Caller<'_>,
        correlation_id: Option<&str>,
    ) -> Result<Answer, Answer> {
        let payload = payload(request)?;
        let order_id = self.order_id(request, caller)?;
        let row = self
            .intake_row(order_id, payload, correlation_id)
            .map_err(|trouble| unavailable(&trouble))?;
        if !caller.may_see(row.listed.as_ref()) {
            return Err(problem(403, "an order must name you as its customer: set customerId"));
        }
        let traceparent = request.header("traceparent").map(str::to_owned);
        self.store_and_publish(row, traceparent)
            .await
            .unwrap_or_else(|trouble| Err(unavailable(&trouble)))
    }

    async fn store_and_publish(
        &self,
        row: Row,
        traceparent: Option<String>,
    ) -> Result<Result<Answer, Answer>, Retry> {
        let store = &self.clients.store;
        let until = Instant::now() + STORE_TIMEOUT;
        let put = retry_until(until, || store.put_once(&row, &[])).await?;
        let (row, is_new) = match put {
            Put::Stored => (row, true),
            Put::AlreadyStored(stored) if stored.digest == row.digest => (*stored, false),
            _ => {
                return Ok(Err(problem(
                    422,
                    "this Idempotency-Key was used for another order: use a new key",
                )));
            }
        };
        let Content::Event(event) = row.content else {
            return Err(Retry::out_of_time("reading the stored order"));
        };
        // Published again for a known order too: the first try may have ended before it got here.
        let publication = Publication { event, traceparent };
        let mut published =
            self.clients.publisher.publish(std::slice::from_ref(&publication)).await;
        if let Some(Err(trouble)) = published.pop() {
            if is_new {
                let until = Instant::now() + STORE_TIMEOUT;
                retry_until(until, || store.remove(&row.key, StageName::OrderApi)).await?;
            }
            return Err(trouble);
        }
        Ok(Ok(accepted(&publication.event)))
    }

    fn intake_row(
        &self,
        order_id: OrderId,
        payload: JsonObject,
        correlation_id: Option<&str>,
    ) -> Result<Row, Retry> {
        let now = (self.clients.clock)();
        let digest = Digest::of_payload(&payload);
        let correlation_id =
            correlation_id.map_or_else(|| format!("corr-{}", (self.new_id)()), str::to_owned);
        let customer_id = customer_id(&payload).ok().map(str::to_owned);
        let envelope =
            Envelope::new(EventType::OrderCreated, order_id, correlation_id, now, payload);
        let event = OutgoingEvent::write(&envelope)
            .map_err(|error| Retry::new("writing the order down", error))?;
        Ok(Row {
            key: event.order_id.to_string(),
            stage: StageName::OrderApi,
            // An order that names no customer is in nobody's list.
            listed: customer_id
                .map(|customer_id| Listed { customer_id, accepted_at: event.timestamp.clone() }),
            content: Content::Event(event),
            digest,
            expires_at: now.as_second().saturating_add(self.clients.row_ttl.as_secs()),
        })
    }

    /// A new id, or the one that the caller's idempotency key always leads to.
    fn order_id(&self, request: &Request, caller: Caller<'_>) -> Result<OrderId, Answer> {
        let id = match request.name_in_header("idempotency-key", MAX_KEY_LENGTH)? {
            None => (self.new_id)().to_string(),
            Some(key) => Digest::of_bytes(caller.scoped(key).as_bytes()).to_hex(),
        };
        OrderId::parse(&format!("ord-{id}")).ok_or_else(|| problem(400, "no order id can be made"))
    }
}

/// Reads the body: any JSON object that can travel. What makes an order good is the validator's.
fn payload(request: &Request) -> Result<JsonObject, Answer> {
    let body = request.body.as_deref().unwrap_or_default();
    let bytes = if request.is_base64_encoded {
        BASE64_STANDARD
            .decode(body)
            .map_err(|error| problem(400, &format!("the body's base64 is broken: {error}")))?
    } else {
        body.as_bytes().to_vec()
    };
    if bytes.len() > MAX_BODY_BYTES {
        let detail = format!("an order must have at most {MAX_BODY_BYTES} bytes");
        return Err(problem(413, &detail));
    }
    let order: Value = serde_json::from_slice(&bytes)
        .map_err(|error| problem(400, &format!("the body must be a JSON object: {error}")))?;
    if nesting(&order) > MAX_NESTING {
        return Err(problem(400, &format!("an order must nest at most {MAX_NESTING} levels")));
    }
    match order {
        Value::Object(payload) => Ok(payload),
        _ => Err(problem(400, "the body must be a JSON object")),
    }
}

fn accepted(event: &OutgoingEvent) -> Answer {
    let body = json!({
        "orderId": event.order_id.as_str(),
        "correlationId": event.correlation_id,
        "status": PENDING,
    });
    Answer::new(202, "application/json", &body)
        .with("location", &format!("/orders/{}", event.order_id))
        .with(CORRELATION_ID, &event.correlation_id)
}
