//! IAM authentication as at Amazon MSK, at a listener of Apache Kafka that checks MSK's tokens.
//! Only `scripts/with-real-servers` has one:
//!
//! ```text
//! scripts/with-real-servers cargo test --workspace --features workflow-tests/real-servers --test sign_in
//! ```
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at the first failure")]

use std::{collections::BTreeSet, env, fs, time::Duration};

use contracts::Topic;
use emulator::{broker::Broker, template::Template};
use engine::Clock;
use jiff::{SignedDuration, Timestamp};
use kafka::{Auth, Brokers, MskIam, OutgoingRecord, ProduceError, Producer, TOKEN_LIFE};
use serde_json::json;
use tokio::time::{sleep, timeout};
use workflow_tests::{
    functions::FUNCTIONS,
    world::{World, root},
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The tests share the listener's clock and its list of authentications.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_signs_in_and_goes_on_with_a_new_token() {
    let _alone = ONE_AT_A_TIME.lock().await;
    // A clock that is slow by almost a token's lifetime, so that each token expires soon.
    let slow: Clock = || Timestamp::now() - TOKEN_LIFE + SignedDuration::from_secs(5);
    let producer = producer(slow, TIMEOUT).await;
    let began = Timestamp::now().as_second();
    publish(&producer).await.expect("the first event is published");
    let renewed = async {
        while tokens_since(began).len() < 2 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(TIMEOUT, renewed).await.expect("a second token is used");
    publish(&producer).await.expect("an event is published with the new token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_token_is_refused_and_the_publisher_says_so() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let clock_file = env::var("MSK_CLOCK").expect("MSK_CLOCK is set");
    let producer = producer(Timestamp::now, Duration::from_secs(30)).await;
    fs::write(&clock_file, "1200").unwrap();
    let refused = publish(&producer).await;
    fs::write(&clock_file, "0").unwrap();
    let error = refused.expect_err("the token expires within 20 minutes").to_string();
    assert!(error.contains("the token has expired"), "{error}");

    let recovered = async { while publish(&producer).await.is_err() {} };
    timeout(2 * TIMEOUT, recovered).await.expect("the same publisher recovers with a valid token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_through_functions_that_sign_in() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let before = sign_ins().len();
    let variables = [
        ("KAFKA_BOOTSTRAP_SERVERS", &*variable("MSK_BOOTSTRAP_SERVERS")),
        ("KAFKA_SIGN_IN", "MSK_IAM"),
        ("KAFKA_CA_FILE", &*variable("MSK_CA_FILE")),
    ];
    let world = World::start_with(&variables).await;
    world.stock("SKU-1", 10).await;
    world.account("cust-1", "100").await;
    let order = json!({
        "customerId": "cust-1", "totalAmount": 12.5, "items": [{ "sku": "SKU-1", "quantity": 2 }],
    });
    let order_id = world.accepted(&order).await;
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    assert_eq!(world.balance("cust-1").await, "87.5");
    let signed_in = sign_ins().len() - before;
    let functions = FUNCTIONS.len();
    assert!(signed_in >= functions, "{signed_in} authentications of {functions} functions");
    world.stop().await;
}

fn variable(name: &str) -> String {
    env::var(name).expect("scripts/with-real-servers runs this test")
}

/// A producer that authenticates like those of the functions.
async fn producer(clock: Clock, delivery_timeout: Duration) -> Producer {
    let plaintext = variable("KAFKA_BOOTSTRAP_SERVERS");
    let topics = Template::read(&root().join("template.yaml")).unwrap().topics;
    Broker::outside(&plaintext).await.unwrap().create_topics(&topics).await.unwrap();
    let aws = runtime::aws_config().await;
    let iam = MskIam::new(&aws, Some(variable("MSK_CA_FILE")), clock).await.unwrap();
    let bootstrap_servers = variable("MSK_BOOTSTRAP_SERVERS");
    let brokers = Brokers { bootstrap_servers, auth: Auth::MskIam(iam) };
    Producer::new(&brokers, delivery_timeout).unwrap()
}

async fn publish(producer: &Producer) -> Result<(), ProduceError> {
    let record = OutgoingRecord {
        topic: Topic::OrderCreated.name(),
        partition: None,
        key: Some(b"ord-sign-in"),
        value: Some(b"not an event"),
        headers: &[],
    };
    producer.send(record)?.delivered().await
}

/// The seconds in which tokens were signed, from this one on.
fn tokens_since(second: i64) -> BTreeSet<i64> {
    sign_ins().into_iter().map(|ms| ms / 1000).filter(|made| *made >= second).collect()
}

/// The signing time of each accepted token, in milliseconds since the epoch.
fn sign_ins() -> Vec<i64> {
    let shown = fs::read_to_string(env::var("MSK_SIGN_INS").unwrap()).unwrap();
    shown.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect()
}
