//! Sends the orders through the HTTP API, with retries.
//!
//! Every order has an idempotency key, so a retry never makes a second order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contracts::Topic;
use futures::stream::{self, TryStreamExt};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use super::in_flight::InFlight;
use super::malformed_inputs;
use super::malformed_records::MalformedRecord;
use super::orders::{Kind, Order, Repeat};
use super::plan::Plan;
use crate::fixtures::CreatedRecord;
use crate::fixtures::producer::Producer;

const MAX_CONCURRENT_REQUESTS: usize = 16;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// The soak's limit for an order to end.
const PERMITS_TIMEOUT: Duration = Duration::from_mins(5);

/// Posts the orders of a plan.
pub(crate) struct Driver<'a> {
    pub(crate) client: Client,
    /// URL of `POST /orders`.
    pub(crate) url: String,
    /// Limit for all attempts of one request.
    pub(crate) timeout: Duration,
    /// Prefix of the idempotency keys, unique for each run.
    pub(crate) run_id: String,
    pub(crate) in_flight: &'a InFlight,
    pub(crate) producer: &'a Producer,
    /// The folder of the functions' logs.
    pub(crate) logs: &'a Path,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    #[error("POST {url}: no response within {} s (see {})", timeout.as_secs(), log.display())]
    Unanswered {
        url: String,
        timeout: Duration,
        log: PathBuf,
        #[source]
        source: reqwest::Error,
    },
    #[error("POST {url}: {status} for {} s (see {})", timeout.as_secs(), log.display())]
    Unavailable { url: String, timeout: Duration, status: StatusCode, log: PathBuf },
    #[error(
        "too many orders in flight for {} s: {open_orders} (see the functions' logs in {})",
        timeout.as_secs(),
        logs.display()
    )]
    Stalled { timeout: Duration, open_orders: String, logs: PathBuf },
    #[error("POST {url}: the response has no orderId")]
    MissingOrderId {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("cannot publish to order.created")]
    Publish(#[source] kafka::ProduceError),
}

/// Final response to `POST /orders`.
#[derive(Debug, PartialEq, Eq)]
enum PostResponse {
    Accepted { order_id: String },
    Rejected { status: StatusCode },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedBody {
    order_id: String,
}

impl Driver<'_> {
    /// Sends all orders, with a bounded number of concurrent requests.
    pub(crate) async fn run(&self, plan: &Plan) -> Result<(), DriveError> {
        stream::iter((0..plan.count()).map(Ok))
            .try_for_each_concurrent(MAX_CONCURRENT_REQUESTS, async |number| {
                let Some(order) = plan.order(number) else { return Ok(()) };
                if let Some(malformed) = plan.malformed_record_with(number) {
                    self.publish_malformed(malformed).await?;
                }
                self.send(number, &order).await
            })
            .await
    }

    async fn publish_malformed(&self, number: u64) -> Result<(), DriveError> {
        let key = format!("malformed-{}-{number}", self.run_id);
        let (value, code) = malformed_inputs::malformed_record(number, &key);
        let sent = MalformedRecord { topic: Topic::OrderCreated, code, positions: BTreeSet::new() };
        self.in_flight.ledger().malformed_records.sent.insert(key.clone(), sent);
        self.publish(&CreatedRecord { key: key.into_bytes(), value }).await
    }

    async fn publish(&self, record: &CreatedRecord) -> Result<(), DriveError> {
        self.producer.publish(record).await.map_err(DriveError::Publish)
    }

    /// Sends an order, and ends the connection after this time, whether it has a response or not. The
    /// order may be accepted: the topics show it.
    pub(crate) async fn send_and_leave(&self, number: u64, order: &Order, after: Duration) {
        let correlation_id = format!("{}-{number}", self.run_id);
        self.in_flight.ledger().expect(correlation_id.clone(), order.clone());
        let request = self.order_request(&correlation_id, order);
        let request = request.header("x-correlation-id", &correlation_id).send();
        // The client has no use for any response.
        tokio::time::timeout(after, request).await.ok();
    }

    /// Sends an order until it has a final response, and cancels it if it is to be cancelled.
    pub(crate) async fn send(&self, number: u64, order: &Order) -> Result<(), DriveError> {
        let permits = self.in_flight.acquire(order, PERMITS_TIMEOUT).await;
        let permits = permits.ok_or_else(|| DriveError::Stalled {
            timeout: PERMITS_TIMEOUT,
            open_orders: self.in_flight.open_orders(),
            logs: self.logs.to_owned(),
        })?;
        let key = format!("{}-{number}", self.run_id);
        let response = match order.repeat {
            Repeat::Request => {
                let (first, second) = tokio::join!(self.post(&key, order), self.post(&key, order));
                let (first, second) = (first?, second?);
                if first != second {
                    let error = format!(
                        "one order posted twice has two responses: {first:?} and {second:?}"
                    );
                    self.in_flight.ledger().add_error(error);
                }
                first
            }
            Repeat::Nothing | Repeat::Record => self.post(&key, order).await?,
        };
        match response {
            PostResponse::Accepted { order_id } => {
                for duplicate in self.in_flight.accept(&order_id, order, permits) {
                    self.publish(&duplicate).await?;
                }
                if let Some(after) = order.cancelled_after {
                    tokio::time::sleep(after).await;
                    self.cancel(&order_id).await?;
                }
            }
            PostResponse::Rejected { status } => {
                self.in_flight.release(permits);
                self.reject(number, order, status);
            }
        }
        Ok(())
    }

    fn reject(&self, number: u64, order: &Order, status: StatusCode) {
        let mut ledger = self.in_flight.ledger();
        ledger.reject(status.as_u16());
        let is_right = match order.kind {
            Kind::Malformed => status == StatusCode::BAD_REQUEST,
            Kind::Listed => true,
            _ => false,
        };
        if !is_right {
            ledger.add_error(format!(
                "order number {number}, {}: the response is {status}",
                order.kind.name()
            ));
        }
    }

    /// Cancels an order. A paid or ended order stays as it is.
    async fn cancel(&self, order_id: &str) -> Result<(), DriveError> {
        let url = format!("{}/{order_id}/cancel", self.url);
        let response = self.send_until_final(&url, || self.client.post(&url)).await?;
        let mut ledger = self.in_flight.ledger();
        match response.status() {
            StatusCode::ACCEPTED => ledger.cancel(order_id),
            StatusCode::CONFLICT => {}
            status => {
                ledger.add_error(format!("cancelling {order_id}: the response is {status}"));
            }
        }
        Ok(())
    }

    async fn post(&self, key: &str, order: &Order) -> Result<PostResponse, DriveError> {
        let response = self.send_until_final(&self.url, || self.order_request(key, order)).await?;
        if !response.status().is_success() {
            return Ok(PostResponse::Rejected { status: response.status() });
        }
        let body = response.json::<AcceptedBody>().await;
        let body =
            body.map_err(|source| DriveError::MissingOrderId { url: self.url.clone(), source })?;
        Ok(PostResponse::Accepted { order_id: body.order_id })
    }

    fn order_request(&self, key: &str, order: &Order) -> RequestBuilder {
        self.client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(order.body.clone())
    }

    /// Sends a request, with retries, until its response is final.
    async fn send_until_final(
        &self,
        url: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, DriveError> {
        let timeout = self.timeout;
        let until = Instant::now() + timeout;
        let mut backoff = FIRST_BACKOFF;
        let named = || (url.to_owned(), self.logs.join("order-api.log"));
        loop {
            let error = match request().send().await {
                Ok(response) if response.status().is_success() || is_final(response.status()) => {
                    return Ok(response);
                }
                Ok(response) => {
                    backoff = retry_after(&response).unwrap_or(backoff);
                    let (url, log) = named();
                    DriveError::Unavailable { url, timeout, status: response.status(), log }
                }
                Err(source) => {
                    let (url, log) = named();
                    DriveError::Unanswered { url, timeout, log, source }
                }
            };
            if Instant::now() + backoff > until {
                return Err(error);
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }
}

/// Retrying cannot change the response.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_BACKOFF))
}
