//! The orders and records of a soak: sent, in flight, observed.

use emulator::tap::Tap;
use futures::stream::{FuturesUnordered, StreamExt};
use terminal::ExitError;

use super::records::{Records, is_genuine};
use crate::demo::drive::Driver;
use crate::demo::run::Run;

pub(super) struct Traffic<'a> {
    pub(super) records: &'a Records,
    pub(super) run: Run<'a>,
    pub(super) driver: Driver<'a>,
}

impl Traffic<'_> {
    /// Updates the ledger while it is polled. Returns only on an error.
    pub(super) async fn watch(&self, tap: &mut Tap) -> ExitError {
        // Not awaited in place: the end of an order is observed although the broker is slow.
        let mut publishing = FuturesUnordered::new();
        let Run { in_flight, producer, .. } = self.run;
        loop {
            tokio::select! {
                record = tap.next() => {
                    let Some(record) = record else { return lost() };
                    for duplicate in in_flight.observe(&record) {
                        publishing.push(async move { producer.publish(&duplicate).await });
                    }
                    if is_genuine(&in_flight.ledger(), &record) {
                        self.records.add(record);
                    }
                }
                Some(Err(error)) = publishing.next() => return ExitError::run(error),
            }
        }
    }
}

fn lost() -> ExitError {
    ExitError::Run("reading the topics: the connection is lost".to_owned())
}
