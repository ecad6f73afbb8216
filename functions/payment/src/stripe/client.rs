//! The requests that are made to Stripe; each answers within its time limit or fails.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::answer::{self, Charged, Fault, PaymentIntent, Trouble};

/// The version whose fields are read and written here, whatever the account's own is.
const API_VERSION: &str = "2024-06-20";

/// A charge takes a few seconds; two tries fit in the time that deciding has.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The most payments that Stripe lists in one answer.
const PAGE: &str = "100";

/// Speaks to Stripe.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
    /// Whether this key has found the customer of an order, so that it is of the right account.
    is_proven: AtomicBool,
}

/// What is to be charged.
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

/// A refund as Stripe shows it.
#[derive(Debug, Deserialize)]
struct Refund {
    status: Option<String>,
}

/// The use that an idempotency key has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// It is used up now, and no charge was made with it.
    First,
    /// A charge was made with it.
    Again,
    /// There is no such customer, so that nothing is known of the key.
    Unknown,
}

/// The answer, or what an answer without it means.
pub(super) type Answered<T> = Result<Result<T, Charged>, Trouble>;

impl Client {
    /// A client of the API at this address, which connects when it is first used.
    pub(crate) fn new(base: Url, key: SecretString) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self { http, base, key, is_proven: AtomicBool::new(false) })
    }

    /// Charges, off-session and in one call. The same order id is never charged twice by Stripe
    /// while it remembers the id, which is at least a day.
    pub(super) async fn charge(&self, charge: &Charge<'_>) -> Answered<PaymentIntent> {
        let units = charge.units.to_string();
        // A card answers at once; payments that take days would leave the order in between.
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
        let answer = self.answer(request.header("Idempotency-Key", charge.order_id).form(&form));
        self.proven_by(answer.await)
    }

    /// What a customer was found for proves the key.
    fn proven_by<T>(&self, answer: Answered<T>) -> Answered<T> {
        if matches!(answer, Ok(Ok(_))) {
            self.is_proven.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Uses up an order's idempotency key with a request that changes nothing.
    pub(super) async fn use_up_key(
        &self,
        customer: &str,
        order_id: &str,
    ) -> Result<KeyUse, Trouble> {
        let request = self.request(Method::POST, &["customers", customer]);
        let request = request.header("Idempotency-Key", order_id);
        match self.answer::<IgnoredAny>(request.form(&[("expand[]", "default_source")])).await {
            Ok(Ok(_)) => Ok(KeyUse::First),
            Ok(Err(_)) => Ok(KeyUse::Unknown),
            Err(Trouble::MayBeDone(fault)) if fault.is_of_another_request() => Ok(KeyUse::Again),
            Err(trouble) => Err(trouble),
        }
    }

    /// Refunds all of a payment, once.
    pub(super) async fn refund(&self, payment: &str, order_id: &str) -> Result<(), Trouble> {
        let form = [("payment_intent", payment), ("metadata[orderId]", order_id)];
        let request = self.request(Method::POST, &["refunds"]);
        let request = request.header("Idempotency-Key", format!("refund-{payment}"));
        match self.answer::<Refund>(request.form(&form)).await {
            Ok(Ok(Refund { status })) => match status.as_deref() {
                Some("failed" | "canceled") => Err(Trouble::NotDone(Box::new(Fault::NotRefunded))),
                _ => Ok(()),
            },
            // A refund has none of an order's own parameters.
            Ok(Err(_)) => Err(Trouble::NotDone(Box::new(Fault::NotRefunded))),
            Err(Trouble::NotDone(fault)) if fault.is_refunded_already() => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    /// The payment of an order that was made since then, in seconds of Unix time; one that
    /// succeeded before any other.
    pub(super) async fn find(
        &self,
        customer: &str,
        order_id: &str,
        since: i64,
    ) -> Answered<Option<PaymentIntent>> {
        let (mut found, mut after) = (None, None::<String>);
        loop {
            let since = since.to_string();
            let mut query = vec![("customer", customer), ("created[gte]", &since), ("limit", PAGE)];
            query.extend(after.as_deref().map(|last| ("starting_after", last)));
            let request = self.request(Method::GET, &["payment_intents"]).query(&query);
            let page: Page = match self.answer(request).await? {
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

    /// The payment method that a customer has chosen for what is charged without them.
    pub(super) async fn payment_method(&self, customer: &str) -> Answered<Option<String>> {
        let request = self.request(Method::GET, &["customers", customer]);
        let answer: Answered<Customer> = self.answer(request).await;
        Ok(self.proven_by(answer)?.map(|customer| {
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

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Answered<T> {
        // Without the address, whose query names the customer.
        let lost = |error: reqwest::Error| {
            Trouble::MayBeDone(Box::new(Fault::NoAnswer(error.without_url())))
        };
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let request_id = answer.headers().get("request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.unwrap_or("an unknown request").to_owned();
        let body = answer.bytes().await.map_err(lost)?;
        if !status.is_success() {
            // Only a known customer's card is declined.
            let is_proven = self.is_proven.fetch_or(status == 402, Ordering::Relaxed);
            return answer::of_error(status.as_u16(), &request_id, &body, is_proven).map(Err);
        }
        let read = serde_json::from_slice(&body).map(Ok);
        read.map_err(|error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            Trouble::MayBeDone(Box::new(Fault::Unreadable { line, column }))
        })
    }
}

/// Reads the address of the API; `None` where the key would travel in plaintext beyond this machine.
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
    fn the_key_stands_in_no_debug_output() {
        let base = base_url("https://api.stripe.com").unwrap();
        let client = Client::new(base, "sk_test_very_secret".into()).unwrap();
        let shown = format!("{client:?} {:?}", client.request(Method::GET, &["customers"]));
        assert!(!shown.contains("very_secret"), "{shown}");
    }
}
