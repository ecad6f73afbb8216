//! Kills function processes and takes the broker away while orders are sent.

use std::{cell::Cell, time::Duration};

use emulator::stack::Stack;
use terminal::grouped;

const PAUSE: Duration = Duration::from_millis(400);
const BROKER_AWAY: Duration = Duration::from_millis(500);
/// One outage of this many is the broker's.
const BROKER_SHARE: usize = 8;

/// The outages of a run.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    kills: Cell<u64>,
    broker: Cell<u64>,
}

impl Outages {
    /// Causes outages until it is dropped: kills all processes of one function after the other, and
    /// stops the embedded broker for a moment. Parts that this program does not run stay up.
    pub(crate) async fn cause(&self, stack: &Stack) {
        let functions = stack.template.functions.iter().map(|function| &function.name.binary);
        for (number, function) in functions.cycle().enumerate() {
            tokio::time::sleep(PAUSE).await;
            if number % BROKER_SHARE == BROKER_SHARE - 1 {
                self.stop_broker(stack).await;
            } else if let Some(host) = &stack.functions {
                let killed = u64::try_from(host.kill(function).await).unwrap_or_default();
                self.kills.set(self.kills.get() + killed);
            }
        }
    }

    async fn stop_broker(&self, stack: &Stack) {
        if let Some(_outage) = stack.broker.outage() {
            self.broker.set(self.broker.get() + 1);
            tokio::time::sleep(BROKER_AWAY).await;
        }
    }

    /// The line of the report.
    pub(crate) fn description(&self) -> String {
        format!(
            "Outages              {} function processes killed, broker away {} x {} ms",
            grouped(self.kills.get()),
            grouped(self.broker.get()),
            BROKER_AWAY.as_millis(),
        )
    }
}
