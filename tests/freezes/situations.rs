//! The situations, each for one stage, and how they run for all stages.

use std::{env, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep};
use workflow_tests::conformance::{
    case::{Case, TIMEOUT, events},
    harness::Harness,
    outcome::outcome,
    process::Process,
    subject::{Provider, Subject, subjects},
    upstream::{Lot, Order, carry, post_event},
    workflow::{Workflow, order_id},
};

use crate::{
    credentials::ShortLived,
    relay::{Break, Relay},
};

/// The cases that run at a time. They wait more than they work.
const LANES: usize = 10;

/// Runs a situation for every stage, with each of these variants.
pub(crate) async fn for_every_stage<Variant, Fut>(
    situation: &str,
    number_of_orders: usize,
    variants: &[Variant],
    run: impl Fn(Case, Variant) -> Fut,
) where
    Variant: Copy + std::fmt::Debug,
    Fut: Future<Output = ()> + Send + 'static,
{
    let harness = Arc::new(Harness::start().await);
    let cases: Vec<(Subject, Variant)> =
        subjects().into_iter().flat_map(|it| variants.iter().map(move |of| (it, *of))).collect();
    let lot = |(index, (subject, _)): (usize, &(Subject, Variant))| Lot {
        subject: *subject,
        name: format!("{}-{index}", subject.name.replace(' ', "-")),
        number: number_of_orders,
    };
    let lots: Vec<_> = cases.iter().enumerate().map(lot).collect();
    let workflow = Workflow::start(&harness).await;
    let orders = carry(&workflow, &harness, &lots).await;
    drop(workflow);
    let cases = cases.into_iter().zip(orders).map(async |((subject, variant), orders)| {
        let case = Case::new(Arc::clone(&harness), subject, orders).await;
        let variant_name = format!("{variant:?}").replace("()", "");
        let name = format!("{} / {situation} {variant_name}", subject.name);
        match outcome(run(case, variant)).await {
            Ok(()) => println!("freeze {} ... ok", name.trim_end()),
            Err(why) => {
                println!("freeze {} ... FAILED: {why}", name.trim_end());
                return Some(name);
            }
        }
        None
    });
    let outcomes: Vec<_> = stream::iter(cases).buffer_unordered(LANES).collect().await;
    println!("freezes: {situation}: {} cases", outcomes.len());
    let failed: Vec<_> = outcomes.into_iter().flatten().collect();
    assert!(failed.is_empty(), "failed cases:\n  {}", failed.join("\n  "));
}

/// At the freeze every order has its event on the broker and its line in the log.
pub(crate) async fn nothing_left(case: Case, (): ()) {
    let process = case.process(TIMEOUT).await;
    process.succeed(&case.whole_batch()).await;
    process.frozen().await;
    let lines = |order: &Order| format!("\"orderId\":\"{}\"", order.id);
    until_logged(&process, &case.orders.iter().map(lines).collect::<Vec<_>>()).await;
    // From here on nothing of the process can change anything.
    process.kill().await;
    case.check(1..=1).await;
}

/// Waits until a frozen process's lines are in its log: they are in the pipe, or will never come.
async fn until_logged(process: &Process, texts: &[String]) {
    const READ_TIMEOUT: Duration = Duration::from_secs(60);
    let started = Instant::now();
    loop {
        let log = process.log();
        let decided: Vec<_> = log.lines().filter(|line| line.contains("\"outcome\"")).collect();
        let is_missing = |text: &&String| !decided.iter().any(|line| line.contains(text.as_str()));
        let missing: Vec<_> = texts.iter().filter(is_missing).collect();
        if missing.is_empty() {
            return;
        }
        assert!(started.elapsed() < READ_TIMEOUT, "not in the log at the freeze: {missing:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// An accepted order's event is on the broker at the freeze.
pub(crate) async fn intake() {
    let harness = Arc::new(Harness::start().await);
    let subject = subjects()[0];
    let case = Case::new(harness, subject, Vec::new()).await;
    let process = case.start("order-api", &[], TIMEOUT).await;
    let response = process.invoke(&post_event("cust-1", "SKU-1", None)).await;
    let id = order_id(&response.expect("order-api responds"));
    process.frozen().await;
    let published = case.published().await;
    let of_order = published.iter().filter(|record| record.order_id().as_deref() == Some(&*id));
    assert_eq!(of_order.count(), 1, "events at the freeze");
}

/// Database, provider and broker close or forget the connections of a frozen process.
pub(crate) async fn broken_connections(case: Case, how: Break) {
    let database = Relay::start(&case.proxy.url).await;
    let stripe = Relay::start(&case.stripe.url).await;
    let sns = Relay::start(&case.sns.url).await;
    let mut settings = vec![("AWS_ENDPOINT_URL_DYNAMODB", database.url.clone())];
    settings.extend(match case.subject.provider {
        Provider::None => None,
        Provider::Stripe => Some(("STRIPE_API_BASE", stripe.url.clone())),
        Provider::Sns => Some(("AWS_ENDPOINT_URL_SNS", sns.url.clone())),
    });
    let process = case.process_with(TIMEOUT, &settings).await;
    deliver(&case, &process, 0).await;
    process.frozen().await;
    assert!(database.break_all(how) > 0, "no connection to the database was open");
    let provider = stripe.break_all(how) + sns.break_all(how);
    assert_eq!(provider > 0, case.subject.provider != Provider::None, "connections to a provider");
    if how == Break::Close {
        drop(case.broker.outage());
    }
    deliver(&case, &process, 1).await;
    // A charge whose connection broke is looked for before it is made again.
    let charges = if case.subject.provider == Provider::Stripe { usize::MAX } else { 1 };
    case.check(1..=charges).await;
}

/// The credentials of the process expire while it is frozen.
pub(crate) async fn expired_credentials(case: Case, (): ()) {
    let aws = ShortLived::start(&case.proxy.url).await;
    let settings = [
        ("AWS_ENDPOINT_URL_DYNAMODB", aws.database_url.clone()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.credentials_url.clone()),
        // The credentials of the environment would come first.
        ("AWS_ACCESS_KEY_ID", String::new()),
        ("AWS_SECRET_ACCESS_KEY", String::new()),
    ];
    let process = case.process_with(TIMEOUT, &settings).await;
    deliver(&case, &process, 0).await;
    process.frozen().await;
    aws.expired().await;
    let issued = aws.issued();
    deliver(&case, &process, 1).await;
    assert_eq!(aws.refused(), 0, "requests with expired credentials");
    assert!(aws.issued() > issued, "the credentials were not renewed");
    case.check(1..=1).await;
}

/// The freeze is longer than the delivery timeout and the timers of the Kafka client.
pub(crate) async fn long_freeze(case: Case, (): ()) {
    let seconds = env::var("FREEZE_SECONDS").map_or(16, |it| it.parse().expect("seconds"));
    let process = case.process(TIMEOUT).await;
    deliver(&case, &process, 0).await;
    process.frozen().await;
    // The freeze itself: no condition could end it.
    sleep(Duration::from_secs(seconds)).await;
    deliver(&case, &process, 1).await;
    case.check(1..=1).await;
}

/// Delivers one order, which may not fail; its event is on the broker at once.
async fn deliver(case: &Case, process: &Process, index: usize) {
    let order = &case.orders[index];
    process.succeed(&case.batch(&[&[&order.input]])).await;
    if case.subject.output.is_some() {
        assert_eq!(events(order, &case.published().await).len(), 1, "events of {}", order.id);
    }
}
