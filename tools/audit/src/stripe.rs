//! Lists of payments and refunds at Stripe.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};

/// The version of the fields that are used here, that of `functions/payment`.
const API_VERSION: &str = "2024-06-20";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The most objects of one page.
const PAGE: &str = "100";
#[derive(Debug, thiserror::Error)]
pub(crate) enum StripeError {
    #[error(
        "--stripe needs STRIPE_API_KEY, a secret or restricted key of Stripe that may read \
         PaymentIntents and refunds"
    )]
    NoKey,
    #[error("STRIPE_API_BASE must be an https:// URL, or one of this machine")]
    Base,
    #[error("no response from Stripe")]
    NoResponse(#[source] reqwest::Error),
    #[error("Stripe responded {status} to a list of {objects} (check the API key)")]
    Refused { status: u16, objects: &'static str },
}

#[derive(Debug, Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
}

/// Stripe's payment object.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) amount: u64,
    /// In seconds since 1970.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) metadata: Metadata,
    #[serde(skip)]
    pub(crate) refunded: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Metadata {
    #[serde(rename = "orderId")]
    pub(crate) order_id: Option<String>,
}

/// Stripe's refund object.
#[derive(Debug, Deserialize)]
pub(crate) struct Refund {
    id: String,
    pub(crate) payment_intent: Option<String>,
    pub(crate) amount: u64,
    pub(crate) status: Option<String>,
}

pub(crate) trait Listed: DeserializeOwned {
    fn id(&self) -> &str;
}

impl Listed for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

/// The API: its URL and its key.
pub(crate) struct Api {
    http: Client,
    base: Url,
    key: SecretString,
}

impl Api {
    /// Takes the settings of the payment function: `STRIPE_API_KEY`, `STRIPE_API_BASE`.
    pub(crate) fn new(key: Option<String>, base: Option<String>) -> Result<Self, StripeError> {
        let key = key.filter(|key| !key.is_empty()).ok_or(StripeError::NoKey)?;
        let base = base.unwrap_or_else(|| "https://api.stripe.com".to_owned());
        let base: Url = base.parse().map_err(|_| StripeError::Base)?;
        let is_here = matches!(base.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if base.scheme() != "https" && !is_here {
            return Err(StripeError::Base);
        }
        let http = Client::builder().timeout(REQUEST_TIMEOUT).redirect(Policy::none());
        let http = if is_here { http.no_proxy() } else { http };
        let http = http.build().map_err(StripeError::NoResponse)?;
        Ok(Self { http, base, key: key.into() })
    }

    /// Every object of a list that was created since a time.
    pub(crate) async fn list<T: Listed>(
        &self,
        objects: &'static str,
        since: Timestamp,
    ) -> Result<Vec<T>, StripeError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v1", objects]);
        }
        let since = since.as_second().to_string();
        let mut listed: Vec<T> = Vec::new();
        loop {
            let after = listed.last().map(|last| last.id().to_owned());
            let mut query = vec![("created[gte]", since.as_str()), ("limit", PAGE)];
            query.extend(after.as_deref().map(|last| ("starting_after", last)));
            let request = self.http.get(url.clone()).query(&query);
            let request = request.header("Stripe-Version", API_VERSION);
            let response = request.bearer_auth(self.key.expose_secret()).send().await;
            let lost = |error: reqwest::Error| StripeError::NoResponse(error.without_url());
            let response = response.map_err(lost)?;
            if !response.status().is_success() {
                let status = response.status().as_u16();
                return Err(StripeError::Refused { status, objects });
            }
            let page: Page<T> = response.json().await.map_err(lost)?;
            let is_last = !page.has_more || page.data.is_empty();
            listed.extend(page.data);
            if is_last {
                return Ok(listed);
            }
        }
    }
}

impl PaymentIntent {
    /// The money was taken, and not all of it was given back.
    pub(crate) fn is_kept(&self) -> bool {
        self.status == "succeeded" && self.refunded < self.amount
    }
}
