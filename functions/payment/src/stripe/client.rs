//! The requests to Stripe, each with a timeout.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::failpoint::{Point, reach};
use reqwest::{Method, RequestBuilder, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{
    ChargeOutcome,
    error::{RequestError, StripeError},
    response::{self, PaymentIntent},
};

/// The version of the fields that are used here, independent of the account's default.
const API_VERSION: &str = "2024-06-20";

/// A charge takes a few seconds; two attempts fit in the time for deciding.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The most payments of one page.
const PAGE: &str = "100";

/// A client of Stripe's API.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
    /// Set once the key has found the customer of an order, so that it is of the right account.
    is_proven: AtomicBool,
}

/// A charge to request.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    pub(super) customer: &'a str,
    pub(super) payment_method: &'a str,
    pub(super) units: u64,
    pub(super) currency: &'a str,
    pub(super) order_id: &'a str,
    pub(super) correlation_id: &'a str,
}

#[derive(Debug, Deserialize)]
struct Page {
    data: Vec<PaymentIntent>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
struct Customer {
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    invoice_settings: InvoiceSettings,
    default_source: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct InvoiceSettings {
    default_payment_method: Option<String>,
}

/// Stripe's refund object.
#[derive(Debug, Deserialize)]
struct Refund {
    status: Option<String>,
}

/// The state of an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// It is used up now, and no charge was made with it.
    First,
    /// A charge was made with it.
    Again,
    /// Unknown, because the customer does not exist.
    Unknown,
}

/// The content of the response, or the outcome that an error response already decides.
pub(super) type StripeResult<T> = Result<Result<T, ChargeOutcome>, RequestError>;

impl Client {
    /// A client of the API at this URL, which connects on first use.
    pub(crate) fn new(base: Url, key: SecretString) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self { http, base, key, is_proven: AtomicBool::new(false) })
    }

    /// Charges off-session, in one call. The order id is the idempotency key, which Stripe keeps
    /// for at least a day.
    pub(super) async fn charge(&self, charge: &Charge<'_>) -> StripeResult<PaymentIntent> {
        let units = charge.units.to_string();
        // Cards settle at once; payments that take days would leave the order pending.
        let form = [
            ("amount", units.as_str()),
            ("currency", charge.currency),
            ("customer", charge.customer),
            ("payment_method", charge.payment_method),
            ("payment_method_types[]", "card"),
            ("confirm", "true"),
            ("off_session", "true"),
            ("metadata[orderId]", charge.order_id),
            ("metadata[correlationId]", charge.correlation_id),
        ];
        let request = self.request(Method::POST, &["payment_intents"]);
        let response = self.send(request.header("Idempotency-Key", charge.order_id).form(&form));
        self.proven_by(response.await)
    }

    /// A request that has found its customer proves the key.
    fn proven_by<T>(&self, response: StripeResult<T>) -> StripeResult<T> {
        if matches!(response, Ok(Ok(_))) {
            self.is_proven.store(true, Ordering::Relaxed);
        }
        response
    }

    /// Uses up an order's idempotency key with a request that changes nothing.
    pub(super) async fn use_up_key(
        &self,
        customer: &str,
        order_id: &str,
    ) -> Result<KeyUse, RequestError> {
        let request = self.request(Method::POST, &["customers", customer]);
        let request = request.header("Idempotency-Key", order_id);
        match self.send::<IgnoredAny>(request.form(&[("expand[]", "default_source")])).await {
            Ok(Ok(_)) => Ok(KeyUse::First),
            Ok(Err(_)) => Ok(KeyUse::Unknown),
            Err(RequestError::Unknown(error)) if error.is_of_another_request() => Ok(KeyUse::Again),
            Err(error) => Err(error),
        }
    }

    /// Refunds the whole payment, once.
    pub(super) async fn refund(&self, payment: &str, order_id: &str) -> Result<(), RequestError> {
        let form = [("payment_intent", payment), ("metadata[orderId]", order_id)];
        let request = self.request(Method::POST, &["refunds"]);
        let request = request.header("Idempotency-Key", format!("refund-{payment}"));
        match self.send::<Refund>(request.form(&form)).await {
            Ok(Ok(Refund { status })) => match status.as_deref() {
                Some("failed" | "canceled") => {
                    Err(RequestError::Final(Box::new(StripeError::NotRefunded)))
                }
                _ => Ok(()),
            },
            // A refund has no parameter of the order.
            Ok(Err(_)) => Err(RequestError::Final(Box::new(StripeError::NotRefunded))),
            Err(RequestError::NotDone(error)) if error.is_refunded_already() => Ok(()),
            Err(RequestError::NotDone(error)) if error.is_rejection() => {
                Err(RequestError::Final(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the payment of an order that was created since then, in seconds of Unix time; prefers
    /// one that succeeded.
    pub(super) async fn find(
        &self,
        customer: &str,
        order_id: &str,
        since: i64,
    ) -> StripeResult<Option<PaymentIntent>> {
        let (mut found, mut after) = (None, None::<String>);
        loop {
            let since = since.to_string();
            let mut query = vec![("customer", customer), ("created[gte]", &since), ("limit", PAGE)];
            query.extend(after.as_deref().map(|last| ("starting_after", last)));
            let request = self.request(Method::GET, &["payment_intents"]).query(&query);
            let page: Page = match self.send(request).await? {
                Ok(page) => page,
                Err(charged) => return Ok(Err(charged)),
            };
            after = page.data.last().map(|payment| payment.id.clone());
            for payment in page.data {
                let is_the_orders = payment.metadata.order_id.as_deref() == Some(order_id);
                if is_the_orders && (found.is_none() || payment.status == "succeeded") {
                    found = Some(payment);
                }
            }
            if !page.has_more || after.is_none() {
                return Ok(Ok(found));
            }
        }
    }

    /// The customer's default payment method for off-session charges.
    pub(super) async fn payment_method(&self, customer: &str) -> StripeResult<Option<String>> {
        let request = self.request(Method::GET, &["customers", customer]);
        let response: StripeResult<Customer> = self.send(request).await;
        Ok(self.proven_by(response)?.map(|customer| {
            let chosen = customer.invoice_settings.default_payment_method;
            chosen.or(customer.default_source).filter(|_| !customer.deleted)
        }))
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let request = self.http.request(method, url).header("Stripe-Version", API_VERSION);
        request.bearer_auth(self.key.expose_secret())
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> StripeResult<T> {
        // Without the URL, whose query names the customer.
        let lost = |error: reqwest::Error| {
            RequestError::Unknown(Box::new(StripeError::NoResponse(error.without_url())))
        };
        reach(Point::BeforeCall);
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let request_id = response.headers().get("request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.unwrap_or("an unknown request").to_owned();
        let replayed = response.headers().get("idempotent-replayed");
        let is_replayed = replayed.is_some_and(|value| value == "true");
        let body = response.bytes().await.map_err(lost)?;
        reach(Point::AfterCall);
        if !status.is_success() {
            // Only the card of a known customer is declined.
            let is_proven = self.is_proven.fetch_or(status == 402, Ordering::Relaxed);
            let status = status.as_u16();
            return response::of_error(status, &request_id, &body, is_proven, is_replayed).map(Err);
        }
        let read = serde_json::from_slice(&body).map(Ok);
        read.map_err(|error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            RequestError::Unknown(Box::new(StripeError::Unreadable { line, column }))
        })
    }
}

/// Parses the URL of the API; `None` if the key would leave this machine in plaintext.
pub(crate) fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| !url.cannot_be_a_base())?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (url.scheme() == "https" || url.scheme() == "http" && is_here).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_leaves_this_machine_over_tls_only() {
        for text in [
            "https://api.stripe.com",
            "http://127.0.0.1:8420",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(base_url(text).is_some(), "{text}");
        }
        for text in ["http://api.stripe.com", "api.stripe.com", "ftp://localhost", "mailto:a@b", ""]
        {
            assert!(base_url(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_output_does_not_have_the_key() {
        let base = base_url("https://api.stripe.com").unwrap();
        let client = Client::new(base, "sk_test_very_secret".into()).unwrap();
        let shown = format!("{client:?} {:?}", client.request(Method::GET, &["customers"]));
        assert!(!shown.contains("very_secret"), "{shown}");
    }
}
