//! IAM authentication at MSK: signs a token whenever the Kafka client requests one.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider;
use aws_types::{SdkConfig, region::Region};
use jiff::{SignedDuration, Timestamp};
use rdkafka::{
    client::{ClientContext, OAuthToken},
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::{runtime::Handle, time::timeout};

use crate::Auth;

/// The lifetime that the client is given for a token; it requests a new one after four fifths of
/// it. A signature is valid for 15 minutes, so a clock may be off by some minutes.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// The timeout for signing a token, which may fetch credentials first.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Authentication with IAM credentials.
#[derive(Clone)]
pub struct MskIam {
    region: Region,
    credentials: SharedCredentialsProvider,
    certificates: Option<String>,
    clock: fn() -> Timestamp,
    runtime: Handle,
}

/// Authentication that cannot work with this environment.
///
/// `Debug` has the same text, because a failing `main` prints that.
#[derive(thiserror::Error)]
pub enum AuthError {
    /// Built without TLS.
    #[error(
        "MSK authentication: this executable has no TLS: build it with `--features kafka/tls` \
         (`sam build` and `cargo lambda build` do)"
    )]
    NoTls,
    /// No region is known.
    #[error(
        "MSK authentication: the region is unknown: set AWS_REGION, \
         for example AWS_REGION=eu-west-1"
    )]
    NoRegion,
    /// No credentials were found.
    #[error(
        "MSK authentication: no AWS credentials ({0}): in Lambda give the function a role; \
         elsewhere set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )]
    NoCredentials(Box<dyn Error + Send + Sync>),
}

impl fmt::Debug for AuthError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl MskIam {
    /// Authenticates with the SDK's credentials and region. Fails if either is missing, and in a
    /// build without the feature `tls`.
    ///
    /// `certificates` is a file of certificates to trust instead of the system's. The Tokio runtime
    /// of the caller drives the requests that a new token may need.
    ///
    /// # Errors
    /// [`AuthError`] if region, credentials or TLS are missing.
    pub async fn new(
        aws: &SdkConfig,
        certificates: Option<String>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, AuthError> {
        if !crate::HAS_TLS {
            return Err(AuthError::NoTls);
        }
        let region = aws.region().cloned().ok_or(AuthError::NoRegion)?;
        let none = || AuthError::NoCredentials("no provider is configured".into());
        let credentials = aws.credentials_provider().ok_or_else(none)?;
        timeout(TOKEN_TIMEOUT, credentials.provide_credentials())
            .await
            .map_err(|elapsed| AuthError::NoCredentials(elapsed.into()))?
            .map_err(|error| AuthError::NoCredentials(error.into()))?;
        Ok(Self { region, credentials, certificates, clock, runtime: Handle::current() })
    }

    pub(crate) fn certificates(&self) -> Option<&str> {
        self.certificates.as_deref()
    }

    async fn token(&self) -> Result<OAuthToken, Box<dyn Error + Send + Sync>> {
        let made = generate_auth_token_from_credentials_provider(
            self.region.clone(),
            self.credentials.clone(),
        );
        let (token, expires_ms) = timeout(TOKEN_TIMEOUT, made).await??;
        let reported_ms = ((self.clock)() + TOKEN_LIFE).as_millisecond();
        let principal_name = String::new();
        Ok(OAuthToken { token, principal_name, lifetime_ms: expires_ms.min(reported_ms) })
    }
}

impl fmt::Debug for MskIam {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MskIam").field("region", &self.region).finish_non_exhaustive()
    }
}

/// The client context: authenticates, and keeps the last error of the connection.
#[derive(Debug, Clone)]
pub struct Context {
    auth: Auth,
    last_error: Arc<Mutex<Option<String>>>,
}

impl Context {
    pub(crate) fn new(auth: Auth) -> Self {
        Self { auth, last_error: Arc::default() }
    }

    /// Takes the last connection or authentication error, if any since the previous call.
    ///
    /// Not reported elsewhere: the client retries until a record times out, and reports only that.
    #[must_use]
    pub fn take_last_error(&self) -> Option<String> {
        self.last_error.lock().ok()?.take()
    }

    fn set_last_error(&self, error: &str) {
        if let Ok(mut last) = self.last_error.lock() {
            *last = Some(error.to_owned());
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        tracing::debug!(?level, message, "Kafka client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client error");
        // `AllBrokersDown` follows from an earlier error; that one is kept.
        if error != KafkaError::Global(RDKafkaErrorCode::AllBrokersDown) {
            self.set_last_error(reason);
        }
    }

    /// Signs a token; blocks the thread that polls the client.
    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let Auth::MskIam(iam) = self.auth.clone() else {
            return Err("authentication is not configured for these brokers".into());
        };
        // A thread of its own: the caller may be one that Tokio does not allow to block.
        let made = std::thread::spawn(move || iam.runtime.block_on(iam.token())).join();
        let token = made.map_err(|_| "signing a token: the thread panicked")?;
        token.map_err(|error| -> Box<dyn Error> {
            tracing::warn!(%error, "cannot sign a token for MSK");
            error
        })
    }
}

impl ConsumerContext for Context {}

#[cfg(all(test, not(feature = "tls")))]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test provides the clock")]
    #[tokio::test]
    async fn without_tls_nothing_authenticates_and_the_error_names_the_feature() {
        let aws = SdkConfig::builder().build();
        let refused = MskIam::new(&aws, None, Timestamp::now).await.unwrap_err().to_string();
        assert!(refused.contains("build it with `--features kafka/tls`"), "{refused}");
    }
}
