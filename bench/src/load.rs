//! End-to-end load at a rising rate, from POST to the last event.
//!
//! Orders are posted at a fixed rate, so that the latencies show a workflow that falls behind.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use emulator::aws_settings::AwsSettings;
use emulator::stack::{Stack, StackOptions};
use emulator::tap::{Tap, TapRecord};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cli::Options;
use crate::error::{BenchError, Context, Result};
use crate::load_step::{STEP, Step, Times, section};
use crate::orders::{self, Kind};
use crate::report::{Report, progress};
use crate::servers::load_holdings;
use crate::stage::{ORDER_FAILED, STEPS};

const FULL_RATES: [u64; 6] = [25, 50, 100, 200, 400, 800];
const QUICK_RATES: [u64; 3] = [25, 50, 100];
/// Limit for the orders of a step to complete after its last POST.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Time without records on the topics before the first order.
const IDLE: Duration = Duration::from_secs(1);
const PROCESSES: usize = 2;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    order_id: String,
}

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let stack_options = StackOptions {
        template: options.template.clone(),
        kafka: options.kafka.clone(),
        dynamodb: options.dynamodb.clone(),
        processes: PROCESSES,
        function_dir: Some(options.function_dir()?),
        log_dir: options.output.with_file_name("load-logs"),
        aws: AwsSettings::from_environment(|name| std::env::var(name).ok()),
        table_prefix: "BenchLoad".to_owned(),
        ..StackOptions::default()
    };
    let stack = Box::pin(Stack::start(stack_options)).await.context("cannot start the stack")?;
    let steps = Box::pin(drive(options, &stack)).await;
    stack.stop().await;
    let steps = steps?;
    report.add("load", &section(&steps), steps.iter().map(Step::json).collect())
}

async fn drive(options: &Options, stack: &Stack) -> Result<Vec<Step>> {
    load_holdings(stack.database.client(), |table| stack.table(table)).await?;
    let topics: Vec<&str> = STEPS.iter().map(|(_, topic)| *topic).chain([ORDER_FAILED]).collect();
    let mut tap = Tap::start(&stack.broker, &topics).await.context("cannot read the topics")?;
    // On brokers with earlier records, the mappings have a backlog.
    while timeout(IDLE, tap.next()).await.is_ok_and(|record| record.is_some()) {}
    let api = stack.api_url().ok_or_else(|| {
        BenchError::Invalid(
            "cannot send orders: no function of the template serves HTTP".to_owned(),
        )
    })?;
    let rates: &[u64] = if options.quick { &QUICK_RATES } else { &FULL_RATES };
    let mut steps: Vec<Step> = Vec::new();
    for rate in rates {
        progress(&format!("load: {rate} orders/s"));
        let step = drive_step(&api, *rate, &mut tap).await?;
        let is_saturated = step.is_saturated();
        steps.push(step);
        if is_saturated {
            break;
        }
    }
    Ok(steps)
}

async fn drive_step(api: &str, rate: u64, tap: &mut Tap) -> Result<Step> {
    let client = reqwest::Client::builder().no_proxy().build().context("cannot send orders")?;
    let count = rate * STEP.as_secs();
    let (url, start) = (format!("{api}/orders"), Instant::now());
    let mut posts = JoinSet::new();
    for number in 0..count {
        let at = start + Duration::from_micros(number * 1_000_000 / rate);
        posts.spawn(post(client.clone(), url.clone(), number, at));
    }
    let deadline = start + STEP + DRAIN_TIMEOUT;
    let mut orders: HashMap<String, Times> = HashMap::new();
    let mut posted = 0;
    while posted < count || orders.values().any(|order| order.completed().is_none()) {
        tokio::select! {
            Some(answered) = posts.join_next() => {
                let (order_id, at) = answered.context("cannot send an order")??;
                orders.entry(order_id).or_default().posted = at;
                posted += 1;
            }
            record = tap.next() => {
                let record = record.ok_or_else(|| {
                    BenchError::Invalid("cannot read the topics: the broker has stopped".to_owned())
                })?;
                note(&record, &mut orders)?;
                // Take all records that have arrived before the orders are checked again.
                while let Some(record) = tap.next_ready() {
                    note(&record, &mut orders)?;
                }
            }
            () = sleep_until(deadline) => break,
        }
    }
    Ok(Step { rate, posted, orders: orders.into_values().filter(|it| it.posted > 0).collect() })
}

async fn post(
    client: reqwest::Client,
    url: String,
    number: u64,
    at: Instant,
) -> Result<(String, u64)> {
    sleep_until(at).await;
    // The scheduled time, so that latencies include the delay of a slow intake.
    let posted = epoch_ms();
    let request = client.post(&url).body(orders::body(number, Kind::Usual));
    let response = request.header("content-type", "application/json").send().await;
    let response = response.context(format!("cannot POST to {url}"))?;
    let response = response.error_for_status().context("an order was not accepted")?;
    let accepted: Accepted = response.json().await.context("cannot read the accepted order")?;
    Ok((accepted.order_id, posted))
}

fn note(record: &TapRecord, orders: &mut HashMap<String, Times>) -> Result<()> {
    let order_id = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
    let Some(at) = STEPS.iter().position(|(_, topic)| *topic == record.topic) else {
        return Err(BenchError::Invalid(format!("order {order_id} has failed: see order.failed")));
    };
    let event = orders.entry(order_id).or_default().events.get_mut(at).map(|event| (event, record));
    if let Some((event @ None, record)) = event {
        *event = u64::try_from(record.timestamp_ms).ok();
    }
    Ok(())
}

fn epoch_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
