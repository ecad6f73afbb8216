//! The quiet after the load: no faults, until every accepted order has ended.

use std::time::Duration;

use emulator::stack::Stack;
use secrecy::SecretString;
use terminal::printable;
use tokio::time::Instant;

use super::faulty_database::FaultyDatabase;
use crate::demo::drive::Driver;
use crate::demo::in_flight::InFlight;

/// The ages at which the recovery looks at an order, and the range of one look: the schedule comes
/// more often than its window is long.
const RECOVERY_AGES_SECONDS: &str = "4,8,16,32,64,128,256";
const RECOVERY_WINDOW_SECONDS: &str = "6";
pub(super) const RECOVERY_PERIOD: Duration = Duration::from_secs(4);

/// Until the recovery has published every order that was stored, and whose client did not wait.
pub(super) const MIN_QUIET: Duration = Duration::from_secs(10);
/// Longer than the last age.
const MAX_QUIET: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The most open orders that are listed.
const MAX_LISTED: usize = 20;

/// The variables of a recovery that finds an order within seconds.
pub(super) fn recovery() -> Vec<(String, SecretString)> {
    let variables = [
        ("RECOVERY_AGES_SECONDS", RECOVERY_AGES_SECONDS),
        ("RECOVERY_WINDOW_SECONDS", RECOVERY_WINDOW_SECONDS),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.into())).into()
}

/// Ends all faults.
pub(super) fn end_faults(stack: &Stack, database: &FaultyDatabase) {
    database.end();
    stack.mappings.values().for_each(|mapping| mapping.resume());
}

/// Waits at least this long, and until every accepted order has ended; `false` after the time limit.
pub(super) async fn until_ended(in_flight: &InFlight, least: Duration) -> bool {
    let started = Instant::now();
    while in_flight.ledger().counts.unfinished() > 0 || started.elapsed() < least {
        if started.elapsed() > MAX_QUIET {
            return false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    true
}

/// The open orders with their time-lines, as the HTTP API has them.
pub(super) async fn open_orders(driver: &Driver<'_>) -> Vec<String> {
    let open: Vec<String> = {
        let ledger = driver.in_flight.ledger();
        ledger.unfinished().take(MAX_LISTED).map(ToOwned::to_owned).collect()
    };
    let mut lines = Vec::with_capacity(open.len());
    for order_id in open {
        let status = async {
            let response = driver.client.get(format!("{}/{order_id}", driver.url)).send().await?;
            response.json::<serde_json::Value>().await
        };
        let timeline = match status.await {
            Ok(status) => status.get("timeline").unwrap_or(&status).to_string(),
            Err(error) => error.to_string(),
        };
        let order_id = printable(&order_id);
        lines.push(format!("order {order_id} has not ended: {}", printable(&timeline)));
    }
    lines
}
