//! The memory of the program.

use serde_json::json;

use crate::harness::Up;
use crate::workspace::root;

const EVENTS: usize = 60;
/// The program itself, and several copies of all events.
const MAX_PEAK_MB: u64 = 600;

#[tokio::test]
async fn large_events_are_kept_in_memory_a_few_times_at_most() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let up = Up::start(&root(), &[]).await;
    for number in 0..EVENTS {
        let event = json!({
            "eventType": "OrderCreated",
            "orderId": format!("large-{number}"),
            "correlationId": "large",
            "timestamp": "2026-01-01T00:00:00Z",
            "payload": { "note": "x".repeat(900_000) },
        });
        up.publish("order.created", &event.to_string()).await;
    }
    let last = format!("large-{} ", EVENTS - 1);
    up.until_printed(|line| line.starts_with(&last)).await;
    let peak = up.peak_mb();
    eprintln!("{EVENTS} events of 900 kB: a peak of {peak} MB");
    assert!(peak < MAX_PEAK_MB, "{peak} MB");
    up.stop().await;
}
