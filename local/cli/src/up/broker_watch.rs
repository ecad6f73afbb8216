//! Warns when no broker responds: without records, `up` prints nothing and the page does not
//! change.

use std::time::Duration;

use emulator::broker::Broker;

const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Probes the broker without end, and logs when it stops or begins to respond.
pub(super) async fn watch(broker: &Broker) {
    watch_at(broker, PROBE_INTERVAL, |change| tracing::warn!("{change}")).await;
}

/// An outage that is shorter than a probe's own limit, 10 s, is not reported.
async fn watch_at(broker: &Broker, interval: Duration, report: impl Fn(String)) {
    let servers = broker.bootstrap_servers();
    let mut is_away = false;
    loop {
        tokio::time::sleep(interval).await;
        let was_away = is_away;
        is_away = broker.partitions(None).await.is_err();
        match (was_away, is_away) {
            (false, true) => {
                report(format!("no broker responds at {servers}: records wait until one does"));
            }
            (true, false) => report(format!("a broker responds at {servers} again")),
            (true, true) | (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_broker_that_goes_away_and_comes_back_is_reported() {
        let broker = Broker::embedded().unwrap();
        let (reported, mut changes) = mpsc::unbounded_channel();
        let report = |change| reported.send(change).unwrap();
        let watch = watch_at(&broker, Duration::from_millis(20), report);
        let expect = async {
            let away = broker.outage().unwrap();
            let first = timeout(Duration::from_mins(1), changes.recv()).await.unwrap().unwrap();
            assert!(first.starts_with("no broker responds at 127.0.0.1:"), "{first}");
            drop(away);
            let second = timeout(Duration::from_mins(1), changes.recv()).await.unwrap().unwrap();
            assert!(second.ends_with(" again"), "{second}");
        };
        tokio::select! {
            () = watch => {}
            () = expect => {}
        }
    }
}
