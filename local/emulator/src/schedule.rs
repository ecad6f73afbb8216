//! Schedules: invoke a function at a fixed rate with `EventBridge`'s event.

use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use uuid::Uuid;

use crate::{
    invoke::{InvokeClient, InvokeResponse},
    template::{FunctionName, Schedule},
};

/// Limit for the invocation in flight when a schedule is stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running schedule.
#[derive(Debug)]
pub struct ScheduleSource {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ScheduleSource {
    /// Starts the schedule. The first invocation comes after one period.
    #[must_use]
    pub fn start(function: FunctionName, schedule: Schedule, invoke: InvokeClient) -> Self {
        let (stopping, stopped) = watch::channel(false);
        let task = tokio::spawn(run(function, schedule, invoke, stopped));
        Self { stopping, task }
    }

    /// Waits for the invocation in flight, and ends the schedule.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if timeout(STOP_TIMEOUT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for ScheduleSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    function: FunctionName,
    schedule: Schedule,
    invoke: InvokeClient,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = interval_at(Instant::now() + schedule.period, schedule.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = ticks.tick() => {}
        }
        let (name, function_name) = (schedule.name.as_str(), function.binary.as_str());
        match invoke.invoke(&function, event(&schedule, Timestamp::now())).await {
            Ok(InvokeResponse::Returned(_)) => {}
            Ok(InvokeResponse::Failed(error)) => tracing::warn!(
                schedule = name,
                function = function_name,
                error = error.error_message,
                "the scheduled invocation failed"
            ),
            Err(error) => tracing::warn!(
                schedule = name,
                function = function_name,
                %error,
                "the scheduled invocation did not reach the function"
            ),
        }
    }
}

fn event(schedule: &Schedule, at: Timestamp) -> Bytes {
    let event = json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        // EventBridge has whole seconds.
        "time": format!("{at:.0}"),
        "region": "us-east-1",
        "resources": [format!("arn:aws:events:us-east-1:123456789012:rule/{}", schedule.name)],
        "detail": {},
    });
    Bytes::from(event.to_string())
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Path, routing::post};
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_schedule_invokes_its_function_until_it_is_stopped() {
        let (seen, mut invoked) = mpsc::unbounded_channel();
        let invocation = async move |Path(function): Path<String>, body: Bytes| {
            seen.send((function, body)).unwrap();
            "null"
        };
        let path = "/2015-03-31/functions/{function}/invocations";
        let app = Router::new().route(path, post(invocation));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let invoke = InvokeClient::new(&format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let function =
            FunctionName { binary: "greeter".to_owned(), logical_id: "Greeter".to_owned() };
        let schedule = Schedule { name: "Often".to_owned(), period: Duration::from_millis(20) };
        let source = ScheduleSource::start(function, schedule, invoke);
        for _ in 0..3 {
            let (function, event) = invoked.recv().await.unwrap();
            assert_eq!(function, "greeter");
            let event: Value = serde_json::from_slice(&event).unwrap();
            assert_eq!(event["detail-type"], "Scheduled Event");
            let at: Timestamp = event["time"].as_str().unwrap().parse().unwrap();
            assert!((0..60).contains(&Timestamp::now().duration_since(at).as_secs()), "{event}");
        }
        source.stop().await;
        while invoked.try_recv().is_ok() {}
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(invoked.try_recv().is_err());
    }
}
