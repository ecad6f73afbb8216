//! Warns when no broker responds: without records, `up` prints nothing and the page does not
//! change.

use std::time::Duration;

use emulator::broker::Broker;

const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Probes the broker without end. An outage that is shorter than a probe's own limit, 10 s, is not
/// reported.
pub(super) async fn watch(broker: &Broker) {
    let servers = broker.bootstrap_servers();
    let mut is_away = false;
    loop {
        tokio::time::sleep(PROBE_INTERVAL).await;
        let was_away = is_away;
        is_away = broker.partitions(None).await.is_err();
        match (was_away, is_away) {
            (false, true) => {
                tracing::warn!("no broker responds at {servers}: records wait until one does");
            }
            (true, false) => tracing::warn!("a broker responds at {servers} again"),
            (true, true) | (false, false) => {}
        }
    }
}
