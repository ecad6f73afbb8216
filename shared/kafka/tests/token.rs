//! MSK authentication tokens, as a Kafka client requests them.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first failure, and provides the clock"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_types::{SdkConfig, region::Region};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use kafka::{Auth, Brokers, MskIam, TOKEN_LIFE};
use rdkafka::{ClientContext, producer::FutureProducer};
use tokio::time::{sleep, timeout};

/// Credentials that count the requests for them.
#[derive(Debug, Default, Clone)]
struct Counted(Arc<AtomicUsize>);

impl ProvideCredentials for Counted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.fetch_add(1, Ordering::Relaxed);
        future::ProvideCredentials::ready(Ok(Credentials::from_keys("AKIDTEST", "secret", None)))
    }
}

/// No credentials anywhere.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none in the chain")))
    }
}

async fn brokers(
    credentials: impl ProvideCredentials + 'static,
    clock: fn() -> Timestamp,
) -> Brokers {
    let aws = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let iam = MskIam::new(&aws, None, clock).await.expect("credentials");
    Brokers { bootstrap_servers: "127.0.0.1:1".to_owned(), auth: Auth::MskIam(iam) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_a_url_signed_for_connecting_in_the_clusters_region() {
    let context = brokers(Counted::default(), Timestamp::now).await.context();
    let token = context.generate_oauth_token(None).expect("a token");
    let url = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token.token).unwrap()).unwrap();
    assert!(url.starts_with("https://kafka.eu-west-1.amazonaws.com/?"), "{url}");
    for part in ["Action=kafka-cluster%3AConnect", "X-Amz-Credential=AKIDTEST", "X-Amz-Signature="]
    {
        assert!(url.contains(part), "{url}");
    }
    let left =
        Timestamp::from_millisecond(token.lifetime_ms).unwrap().duration_since(Timestamp::now());
    assert!(left <= TOKEN_LIFE && left > TOKEN_LIFE - SignedDuration::from_secs(30), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_for_a_new_token_before_the_old_one_expires() {
    // With this slow clock, a new token has 3 seconds left.
    let slow = || Timestamp::now() - TOKEN_LIFE + SignedDuration::from_secs(3);
    let asked = Counted::default();
    let brokers = brokers(asked.clone(), slow).await;
    let _client: FutureProducer<_> =
        brokers.client_config().create_with_context(brokers.context()).expect("a client");
    // One request for the check at the start, one for each token.
    let renewed = async {
        while asked.0.load(Ordering::Relaxed) < 3 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), renewed).await.expect("a second token is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_or_region_the_error_names_the_setting() {
    let region = || Some(Region::new("eu-west-1"));
    let nobody = || Some(SharedCredentialsProvider::new(Nobody));
    for (region, credentials, hint) in [
        (region(), nobody(), "AWS_ACCESS_KEY_ID"),
        (region(), None, "AWS_ACCESS_KEY_ID"),
        (None, nobody(), "AWS_REGION"),
    ] {
        let mut aws = SdkConfig::builder().region(region);
        aws.set_credentials_provider(credentials);
        let refused = MskIam::new(&aws.build(), None, Timestamp::now).await.unwrap_err();
        assert!(refused.to_string().contains(hint), "{refused}");
    }
}
