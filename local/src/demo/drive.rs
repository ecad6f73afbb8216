//! Sends the orders through the HTTP API, as clients do that try again when they are told to.
//!
//! Every order carries an idempotency key, so trying again never makes a second order.

use std::time::{Duration, Instant};

use futures::stream::{self, TryStreamExt};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use super::in_flight::InFlight;
use super::malformed_inputs;
use super::malformed_records::MalformedRecord;
use super::order_state::Put;
use super::orders::{Kind, Order, Repeat};
use super::plan::Plan;
use super::producer::Producer;

/// Requests that are under way at a time.
const CONCURRENT: usize = 16;
/// How long one order is tried.
const ORDER_TIMEOUT: Duration = Duration::from_secs(60);
/// The first pause before another try, and the longest.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Posts the orders of a plan.
pub(crate) struct Driver<'a> {
    pub(crate) client: Client,
    /// Where orders are posted.
    pub(crate) url: String,
    /// Makes the idempotency keys of this run differ from those of all others.
    pub(crate) run_id: String,
    pub(crate) in_flight: &'a InFlight,
    pub(crate) producer: &'a Producer,
}

/// Why the orders could not all be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    #[error(
        "POST {url} was not answered within 60 s: see the log of order-api in target/local-logs"
    )]
    Unanswered {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error(
        "POST {url} was answered with {status} for 60 s: see the log of order-api in target/local-logs"
    )]
    Unavailable { url: String, status: StatusCode },
    #[error("POST {url} was accepted with a body that names no order")]
    Nameless {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("a record cannot be put on order.created")]
    Put(#[source] kafka::ProduceError),
}

/// What the HTTP API made of an order.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Accepted { order_id: String },
    Refused { status: StatusCode },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedBody {
    order_id: String,
}

impl Driver<'_> {
    /// Sends everything, a bounded part of it at a time.
    pub(crate) async fn run(&self, plan: &Plan) -> Result<(), DriveError> {
        stream::iter((0..plan.count()).map(Ok))
            .try_for_each_concurrent(CONCURRENT, async |number| {
                let Some(order) = plan.order(number) else { return Ok(()) };
                if let Some(malformed) = plan.malformed_record_with(number) {
                    self.put_malformed(malformed).await?;
                }
                self.send(number, &order).await
            })
            .await
    }

    async fn put_malformed(&self, number: u64) -> Result<(), DriveError> {
        let key = format!("malformed-{}-{number}", self.run_id);
        let (value, code) = malformed_inputs::malformed_record(number, &key);
        let sent = MalformedRecord { code, position: None };
        self.in_flight.ledger().malformed_records.sent.insert(key.clone(), sent);
        self.put(&Put { key: key.into_bytes(), value }).await
    }

    async fn put(&self, put: &Put) -> Result<(), DriveError> {
        self.producer.put(put).await.map_err(DriveError::Put)
    }

    async fn send(&self, number: u64, order: &Order) -> Result<(), DriveError> {
        let permits = self.in_flight.acquire(order).await;
        let key = format!("{}-{number}", self.run_id);
        let answer = match order.repeat {
            Repeat::Request => {
                let (first, second) = tokio::join!(self.post(&key, order), self.post(&key, order));
                let (first, second) = (first?, second?);
                if first != second {
                    let fault =
                        format!("one order posted twice was answered {first:?} and {second:?}");
                    self.in_flight.ledger().fault(fault);
                }
                first
            }
            Repeat::Nothing | Repeat::Record => self.post(&key, order).await?,
        };
        match answer {
            Answer::Accepted { order_id } => {
                for put in self.in_flight.accept(&order_id, order, permits) {
                    self.put(&put).await?;
                }
                if let Some(after) = order.cancelled_after {
                    tokio::time::sleep(after).await;
                    self.cancel(&order_id).await?;
                }
            }
            Answer::Refused { status } => {
                self.in_flight.release(permits);
                self.refuse(number, order, status);
            }
        }
        Ok(())
    }

    fn refuse(&self, number: u64, order: &Order, status: StatusCode) {
        let mut ledger = self.in_flight.ledger();
        ledger.refuse(status.as_u16());
        let is_right = match order.kind {
            Kind::Malformed => status == StatusCode::BAD_REQUEST,
            Kind::Listed => true,
            _ => false,
        };
        if !is_right {
            ledger.fault(format!(
                "order number {number}, {}, was answered with {status}",
                order.kind.name()
            ));
        }
    }

    /// Cancels an order; one that is paid or has ended goes on.
    async fn cancel(&self, order_id: &str) -> Result<(), DriveError> {
        let url = format!("{}/{order_id}/cancel", self.url);
        let response = self.until_answered(&url, || self.client.post(&url)).await?;
        let mut ledger = self.in_flight.ledger();
        match response.status() {
            StatusCode::ACCEPTED => ledger.cancel(order_id),
            StatusCode::CONFLICT => {}
            status => {
                ledger.fault(format!("the cancellation of {order_id} was answered with {status}"));
            }
        }
        Ok(())
    }

    async fn post(&self, key: &str, order: &Order) -> Result<Answer, DriveError> {
        let request = || {
            self.client
                .post(&self.url)
                .header("content-type", "application/json")
                .header("idempotency-key", key)
                .body(order.body.clone())
        };
        let response = self.until_answered(&self.url, request).await?;
        if !response.status().is_success() {
            return Ok(Answer::Refused { status: response.status() });
        }
        let body = response.json::<AcceptedBody>().await;
        let body = body.map_err(|source| DriveError::Nameless { url: self.url.clone(), source })?;
        Ok(Answer::Accepted { order_id: body.order_id })
    }

    /// Sends a request until its answer is final.
    async fn until_answered(
        &self,
        url: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, DriveError> {
        let until = Instant::now() + ORDER_TIMEOUT;
        let mut pause = PAUSE;
        loop {
            let trouble = match request().send().await {
                Ok(response) if response.status().is_success() || is_final(response.status()) => {
                    return Ok(response);
                }
                Ok(response) => {
                    pause = asked_pause(&response).unwrap_or(pause);
                    DriveError::Unavailable { url: url.to_owned(), status: response.status() }
                }
                Err(source) => DriveError::Unanswered { url: url.to_owned(), source },
            };
            if Instant::now() + pause > until {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Whether the answer stays the same however often one asks.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn asked_pause(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}
