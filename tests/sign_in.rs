//! Signing in where Amazon MSK would ask for it: Apache Kafka behind TLS, with a listener that lets in
//! whoever shows a token as MSK takes it. Only `tests/real-servers` has one:
//!
//! ```text
//! tests/real-servers cargo test -p workflow-tests --features real-servers --test sign_in
//! ```
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::{collections::BTreeSet, env, fs, time::Duration};

use contracts::{Envelope, EventType, JsonObject, OrderId, OutgoingEvent};
use function::{Environment, Settings};
use jiff::{SignedDuration, Timestamp};
use kafka_client::TOKEN_LIFE;
use local::{broker::Broker, template::Template};
use serde_json::json;
use stage::{Clients, Clock, Publication, Retry};
use tokio::time::{sleep, timeout};
use workflow_tests::world::{World, root};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The listeners share a clock and a list of who signed in, so one test goes after the other.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_signs_in_and_goes_on_with_a_new_token() {
    let _alone = ONE_AT_A_TIME.lock().await;
    // A clock that is slow by nearly all of a token's life: each token is soon at its end.
    let slow: Clock = || Timestamp::now() - TOKEN_LIFE + SignedDuration::from_secs(5);
    let clients = clients(slow, PATIENCE).await;
    let began = Timestamp::now().as_second();
    publish(&clients).await.expect("the first event is published");
    let renewed = async {
        while tokens_since(began).len() < 2 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("a second token is shown");
    publish(&clients).await.expect("an event is published with the new token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_token_is_refused_and_the_publisher_says_so() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let clock_file = env::var("MSK_CLOCK").expect("MSK_CLOCK is set");
    let clients = clients(Timestamp::now, Duration::from_secs(6)).await;
    fs::write(&clock_file, "1200").unwrap();
    let refused = publish(&clients).await;
    fs::write(&clock_file, "0").unwrap();
    let said = refused.expect_err("20 minutes on, the token is stale").chain();
    assert!(said.contains("the token has expired"), "{said}");

    let recovered = async { while publish(&clients).await.is_err() {} };
    timeout(PATIENCE, recovered).await.expect("the same publisher goes on with a good token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_through_functions_that_sign_in() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let before = sign_ins().len();
    let told = told();
    let told: Vec<_> = told.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let world = World::start_with(&told).await;
    world.stock("SKU-1", 10).await;
    world.account("cust-1", "100").await;
    let order = json!({
        "customerId": "cust-1", "totalAmount": 12.5, "items": [{ "sku": "SKU-1", "quantity": 2 }],
    });
    let order_id = world.accepted(&order).await;
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    assert_eq!(world.balance("cust-1").await, "87.5");
    let signed_in = sign_ins().len() - before;
    assert!(signed_in >= 5, "five functions, and {signed_in} sign-ins");
    world.stop().await;
}

/// What a deployment tells a function about the brokers.
fn told() -> [(&'static str, String); 3] {
    [
        ("KAFKA_BOOTSTRAP_SERVERS", env::var("MSK_BOOTSTRAP_SERVERS").unwrap()),
        ("KAFKA_SIGN_IN", "MSK_IAM".to_owned()),
        ("KAFKA_CA_FILE", env::var("MSK_CA_FILE").unwrap()),
    ]
}

/// The clients of a function, told what a deployment tells it.
async fn clients(clock: Clock, delivery_timeout: Duration) -> Clients {
    let plaintext = env::var("KAFKA_BOOTSTRAP_SERVERS").expect("tests/real-servers runs this test");
    let topics = Template::read(&root().join("template.yaml")).unwrap().topics;
    Broker::outside(&plaintext).await.unwrap().create_topics(&topics).await.unwrap();
    let tables = [("ORDERS_TABLE", "orders".to_owned()), ("ROW_TTL_DAYS", "30".to_owned())];
    let told = told().into_iter().chain(tables);
    let mut environment = Environment::new(told.map(|(name, value)| (name.to_owned(), value)));
    let settings = Settings::read(&mut environment);
    let settings = environment.check(settings).unwrap();
    function::connect_with(&settings, clock, delivery_timeout)
        .await
        .expect("the clients are set up")
}

async fn publish(clients: &Clients) -> Result<(), Retry> {
    let envelope = Envelope::new(
        EventType::OrderCreated,
        OrderId::parse("ord-sign-in").unwrap(),
        "corr-1".to_owned(),
        Timestamp::UNIX_EPOCH,
        JsonObject::new(),
    );
    let event = OutgoingEvent::write(&envelope).unwrap();
    let publications = [Publication { event, traceparent: None }];
    clients.publisher.publish(&publications).await.pop().expect("one result")
}

/// The tokens shown that were made from then on: each is known by the second it was made in.
fn tokens_since(second: i64) -> BTreeSet<i64> {
    sign_ins().into_iter().map(|ms| ms / 1000).filter(|made| *made >= second).collect()
}

/// For each time that somebody was let in, when the token was made, in milliseconds since 1970.
fn sign_ins() -> Vec<i64> {
    let shown = fs::read_to_string(env::var("MSK_SIGN_INS").unwrap()).unwrap();
    shown.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect()
}
