//! Lambda's loop around an engine.

use std::time::{Duration, SystemTime};

use engine::{
    Engine,
    lambda_event::{BatchResponse, KafkaEvent},
};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use tokio::time::Instant;

use crate::flush_logs;

/// The longest timeout of a Lambda function.
const MAX_INVOCATION: Duration = Duration::from_mins(15);

/// Enough for a batch, and short enough for somebody who waits at a terminal.
const ASSUMED_TIME_LEFT: Duration = Duration::from_secs(30);

/// Runs the engine's stages on Lambda's events until the process is stopped.
///
/// # Errors
/// Where the Lambda runtime cannot be reached.
pub async fn run(engine: Engine) -> Result<(), Error> {
    engine.warm_up().await;
    flush_logs();
    let engine = &engine;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<KafkaEvent>| {
        handle_batch(engine, &event.payload, &event.context).await
    }))
    .await
}

/// Handles one invocation of a Kafka event-source mapping.
///
/// # Errors
/// Where the whole batch must be redelivered.
pub async fn handle_batch(
    engine: &Engine,
    batch: &KafkaEvent,
    invocation: &Context,
) -> Result<BatchResponse, Error> {
    let handled = engine.handle(batch, deadline(invocation)).await;
    flush_logs();
    Ok(handled?)
}

/// When an invocation ends.
pub fn deadline(invocation: &Context) -> Instant {
    Instant::now() + time_left(invocation.deadline(), now())
}

/// How long an invocation may still take.
///
/// Lambda states its deadline as a time. `cargo lambda watch` states a number of milliseconds, which
/// reads as a time in 1970: a deadline further back than any invocation can last says nothing, so
/// a time is assumed for it.
fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    match now.duration_since(deadline) {
        Ok(past) if past > MAX_INVOCATION => ASSUMED_TIME_LEFT,
        Ok(_) => Duration::ZERO,
        Err(_) => deadline.duration_since(now).unwrap_or_default(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Lambda states its deadline as a time of the system's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_is_no_time_of_ours_leaves_time_to_work() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let of_cargo_lambda = SystemTime::UNIX_EPOCH + Duration::from_millis(600_000);
        assert_eq!(time_left(of_cargo_lambda, now), ASSUMED_TIME_LEFT);
    }

    #[test]
    fn a_deadline_of_lambda_is_kept_and_one_just_missed_leaves_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(time_left(now + second, now), second);
        assert_eq!(time_left(now - second, now), Duration::ZERO);
    }
}
