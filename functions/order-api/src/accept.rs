//! Takes an order in: stores its first event and publishes it, or neither.

use std::time::Duration;

use aws_lambda_events::{apigw::ApiGatewayV2httpRequest, http::header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    Envelope, EventType, JsonObject, OrderId, OutgoingEvent, StageName,
    nesting::{MAX_NESTING, nesting},
};
use serde_json::{Value, json};
use stage::{Content, Digest, Publication, Put, Retry, Row, retry::retry_until};
use tokio::time::Instant;

use crate::routes::{Answer, OrderApi, problem};

/// How long publishing is tried before the client is told to come again: with the time for storing
/// it stays well below the 30 seconds that API Gateway waits.
pub(crate) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(8);

/// How long storing is tried.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest body of an order. A stage adds to it, and the row has to stay below 400 KB.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The longest idempotency key.
const MAX_KEY_BYTES: usize = 255;

impl OrderApi {
    /// Answers `POST /orders`.
    pub(crate) async fn accept(&self, request: &ApiGatewayV2httpRequest) -> Answer {
        let (payload, order_id) = match (payload(request), self.order_id(request)) {
            (Ok(payload), Ok(order_id)) => (payload, order_id),
            (Err(refusal), _) | (_, Err(refusal)) => return refusal,
        };
        let row = match self.intake_row(order_id, payload) {
            Ok(row) => row,
            Err(trouble) => return unavailable(&trouble),
        };
        let traceparent = request.headers.get("traceparent");
        let traceparent = traceparent.and_then(|trace| trace.to_str().ok()).map(str::to_owned);
        self.store_and_publish(row, traceparent)
            .await
            .unwrap_or_else(|trouble| unavailable(&trouble))
    }

    async fn store_and_publish(
        &self,
        row: Row,
        traceparent: Option<String>,
    ) -> Result<Answer, Retry> {
        let store = &self.clients.store;
        let until = Instant::now() + STORE_TIMEOUT;
        let put = retry_until(until, || store.put_once(&row, &[])).await?;
        let (row, is_new) = match put {
            Put::Stored => (row, true),
            Put::AlreadyStored(stored) if stored.digest == row.digest => (*stored, false),
            _ => {
                return Ok(problem(
                    422,
                    "this Idempotency-Key was used for another order: use a new key",
                ));
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
        Ok(accepted(&publication.event))
    }

    fn intake_row(&self, order_id: OrderId, payload: JsonObject) -> Result<Row, Retry> {
        let now = (self.clients.clock)();
        let digest = Digest::of_payload(&payload);
        let correlation_id = format!("corr-{}", (self.new_id)());
        let envelope =
            Envelope::new(EventType::OrderCreated, order_id, correlation_id, now, payload);
        let event = OutgoingEvent::write(&envelope)
            .map_err(|error| Retry::new("writing the order down", error))?;
        Ok(Row {
            key: event.order_id.to_string(),
            stage: StageName::OrderApi,
            content: Content::Event(event),
            digest,
            expires_at: now.as_second().saturating_add(self.clients.row_ttl.as_secs()),
        })
    }

    /// A new id, or the one that the client's idempotency key always leads to.
    fn order_id(&self, request: &ApiGatewayV2httpRequest) -> Result<OrderId, Answer> {
        let id = match request.headers.get("idempotency-key") {
            None => (self.new_id)().to_string(),
            Some(key) => {
                let key = key.as_bytes();
                if key.is_empty() || key.len() > MAX_KEY_BYTES {
                    let detail = format!("Idempotency-Key must have 1 to {MAX_KEY_BYTES} bytes");
                    return Err(problem(400, &detail));
                }
                Digest::of_bytes(key).to_hex()
            }
        };
        OrderId::parse(&format!("ord-{id}")).ok_or_else(|| problem(400, "no order id can be made"))
    }
}

/// Reads the body: any JSON object that can travel. What makes an order good is the validator's.
fn payload(request: &ApiGatewayV2httpRequest) -> Result<JsonObject, Answer> {
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
    Answer {
        status: 202,
        headers: Vec::new(),
        body: json!({
            "orderId": event.order_id.as_str(),
            "correlationId": event.correlation_id,
            "status": "PENDING",
        }),
    }
    .with(header::LOCATION, &format!("/orders/{}", event.order_id))
}

/// Nothing was accepted; the same request may be sent again.
pub(crate) fn unavailable(trouble: &Retry) -> Answer {
    tracing::warn!(error = trouble.chain(), "a request could not be served");
    problem(503, "the order workflow cannot be reached just now: send the same request again later")
        .with(header::RETRY_AFTER, "5")
}
