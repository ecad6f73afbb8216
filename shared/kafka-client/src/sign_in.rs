//! Signing in at MSK: a token whenever the Kafka client asks for one.

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

use crate::SignIn;

/// How long a token is said to live. A signature is good for 15 minutes; the client asks for a new
/// one after four fifths of what it is told, so a clock that is some minutes off does no harm.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// How long making a token may take: credentials may have to be fetched first.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);

/// Signs in with IAM credentials.
#[derive(Clone)]
pub struct MskIam {
    region: Region,
    credentials: SharedCredentialsProvider,
    certificates: Option<String>,
    clock: fn() -> Timestamp,
    runtime: Handle,
}

/// Why nobody can sign in.
///
/// Reads the same in `Debug`, because that is what a failing `main` prints.
#[derive(thiserror::Error)]
pub enum SignInError {
    /// No region is known.
    #[error(
        "signing in at MSK needs the cluster's region: set AWS_REGION, \
         for example AWS_REGION=eu-west-1"
    )]
    NoRegion,
    /// No credentials were found.
    #[error(
        "signing in at MSK needs AWS credentials, and there are none ({0}): in Lambda give the \
         function a role; elsewhere set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )]
    NoCredentials(Box<dyn Error + Send + Sync>),
}

impl fmt::Debug for SignInError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl MskIam {
    /// Signs in with the credentials and the region of the SDK; sees first that there are any.
    ///
    /// `certificates` is a file of certificates to trust instead of the system's. To be called
    /// within a Tokio runtime of several threads, which makes the tokens.
    ///
    /// # Errors
    /// [`SignInError`] where region or credentials are missing.
    pub async fn new(
        aws: &SdkConfig,
        certificates: Option<String>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, SignInError> {
        let region = aws.region().cloned().ok_or(SignInError::NoRegion)?;
        let none = || SignInError::NoCredentials("no way to get any is set up".into());
        let credentials = aws.credentials_provider().ok_or_else(none)?;
        timeout(TOKEN_WITHIN, credentials.provide_credentials())
            .await
            .map_err(|elapsed| SignInError::NoCredentials(elapsed.into()))?
            .map_err(|error| SignInError::NoCredentials(error.into()))?;
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
        let (token, expires_ms) = timeout(TOKEN_WITHIN, made).await??;
        let said_ms = ((self.clock)() + TOKEN_LIFE).as_millisecond();
        let principal_name = String::new();
        Ok(OAuthToken { token, principal_name, lifetime_ms: expires_ms.min(said_ms) })
    }
}

impl fmt::Debug for MskIam {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MskIam").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Answers for a client's sign-in, and remembers what the brokers last found wrong.
#[derive(Debug, Clone)]
pub struct Context {
    sign_in: SignIn,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Context {
    pub(crate) fn new(sign_in: SignIn) -> Self {
        Self { sign_in, trouble: Arc::default() }
    }

    /// What was last wrong with the way to the brokers, since this was asked before.
    ///
    /// A refused sign-in shows nowhere else: the client tries on until an event's time is up, and
    /// then says only that.
    #[must_use]
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().ok()?.take()
    }

    fn remember(&self, trouble: &str) {
        if let Ok(mut last) = self.trouble.lock() {
            *last = Some(trouble.to_owned());
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        tracing::debug!(?level, message, "the Kafka client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the brokers cannot be used just now");
        // That all brokers are down is what follows from the reason, which was told before.
        if error != KafkaError::Global(RDKafkaErrorCode::AllBrokersDown) {
            self.remember(reason);
        }
    }

    /// Makes a token; blocks the client's own thread, or whichever polls it.
    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let SignIn::MskIam(iam) = self.sign_in.clone() else {
            return Err("these brokers ask for no token".into());
        };
        // A thread of its own, because the caller may be one that Tokio does not allow to block.
        let made = std::thread::spawn(move || iam.runtime.block_on(iam.token())).join();
        let token = made.map_err(|_| "making a token was cut off")?;
        token.map_err(|error| -> Box<dyn Error> {
            tracing::warn!(%error, "no token could be made to sign in at MSK");
            error
        })
    }
}

impl ConsumerContext for Context {}
