//! Injects the timed faults of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use contracts::{OrderId, StoredEvent, Topic};
use emulator::stack::Stack;
use futures::stream::{self, StreamExt};
use kafka::OutgoingRecord;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fault::Fault;
use super::faulty_database::FaultyDatabase;
use super::plan::Planned;
use super::records::Records;
use super::tally::Tally;
use super::{broker_fault, forge, processes};
use crate::demo::in_flight::InFlight;
use crate::demo::malformed_records::MalformedRecord;
use crate::fixtures::digest;
use crate::fixtures::producer::Producer;

/// Limit for a record that the broker rejects or does not confirm.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

/// The parts that faults act on.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) stack: &'a Stack,
    pub(super) database: &'a FaultyDatabase,
    pub(super) in_flight: &'a InFlight,
    pub(super) producer: &'a Producer,
    pub(super) records: &'a Records,
    pub(super) tally: &'a Tally,
}

pub(super) struct Injector<'a> {
    parts: Parts<'a>,
    /// One fault of the broker at a time.
    broker: Mutex<()>,
    /// One pause of a mapping at a time, by logical id.
    mappings: BTreeMap<String, Mutex<()>>,
}

impl<'a> Injector<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let ids = parts.stack.mappings.keys();
        let mappings = ids.map(|id| (id.clone(), Mutex::default())).collect();
        Self { parts, broker: Mutex::default(), mappings }
    }

    /// Injects the faults at their times after `started`, and returns when the last is over.
    pub(super) async fn run(&self, faults: &[Planned], started: Instant) {
        stream::iter(faults)
            .for_each_concurrent(None, async |planned| {
                tokio::time::sleep_until(started + planned.at).await;
                let count = Box::pin(self.inject(&planned.fault)).await;
                self.parts.tally.add(planned.fault.kind(), count);
            })
            .await;
    }

    /// Returns how often the fault was injected; 0 for a fault that is counted elsewhere.
    async fn inject(&self, fault: &Fault) -> usize {
        let functions = self.parts.stack.functions.as_ref();
        match fault {
            Fault::Kill { function, is_all } => match functions {
                Some(host) => processes::kill(host, function, *is_all).await,
                None => 0,
            },
            Fault::Freeze { function, lasts } => match functions {
                Some(host) => usize::from(processes::freeze(host, function, *lasts).await),
                None => 0,
            },
            Fault::BrokerAway { lasts } => {
                let _alone = self.broker.lock().await;
                let outage = self.parts.stack.broker.outage();
                tokio::time::sleep(*lasts).await;
                usize::from(outage.is_some())
            }
            Fault::BrokerSlow { round_trip, lasts } => {
                let _alone = self.broker.lock().await;
                broker_fault::slow(&self.parts.stack.broker, *round_trip, *lasts).await
            }
            Fault::BrokerErrors { request, count } => {
                let _alone = self.broker.lock().await;
                broker_fault::reject(&self.parts.stack.broker, *request, *count)
            }
            Fault::Database { kind, share, lasts } => {
                self.parts.database.inject(*kind, *share, *lasts).await;
                0
            }
            Fault::Pause { mapping, lasts } => self.pause(mapping, *lasts).await,
            Fault::Redelivery { count, is_late, draw } => {
                self.redeliver(*draw, *is_late, *count).await
            }
            Fault::Malformed { topic, draw } => self.send_malformed(*topic, *draw).await,
            Fault::Forged { event_type, is_known, draw } => {
                let record = self.parts.records.draw_one(*draw, forge::is_of_order);
                let stranger = OrderId::parse(&format!("ord-forged-{draw:016x}"));
                let order_id = if *is_known { None } else { stranger };
                let event =
                    record.and_then(|record| forge::forged(&record, *event_type, order_id, *draw));
                self.send_forged(event).await
            }
            Fault::ConflictingDuplicate { topic, draw } => {
                let record = self.parts.records.draw_one(*draw, |record| {
                    record.topic == topic.name()
                        && forge::is_of_order(record)
                        && forge::is_decided(&self.parts.in_flight.ledger(), record)
                });
                let event = record.and_then(|record| forge::conflicting(&record, *draw));
                self.send_forged(event).await
            }
            // The load has these, and counts them.
            Fault::Cancellation { .. }
            | Fault::RepeatedRequest { .. }
            | Fault::RepeatedRecord { .. }
            | Fault::ClientGone { .. } => 0,
        }
    }

    async fn pause(&self, mapping: &str, lasts: Duration) -> usize {
        let of_id = (self.parts.stack.mappings.get(mapping), self.mappings.get(mapping));
        let (Some(handle), Some(alone)) = of_id else { return 0 };
        let _alone = alone.lock().await;
        handle.pause();
        tokio::time::sleep(lasts).await;
        handle.resume();
        1
    }

    async fn redeliver(&self, draw: u64, is_late: bool, count: usize) -> usize {
        let records = self.parts.records.draw(draw, is_late, count);
        let number = records.len();
        for record in records {
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_deref()))
                .collect();
            self.publish(OutgoingRecord {
                topic: &record.topic,
                partition: Some(record.partition),
                key: record.key.as_deref(),
                value: record.payload.as_deref(),
                headers: &headers,
            })
            .await;
        }
        number
    }

    async fn send_malformed(&self, topic: Topic, draw: u64) -> usize {
        let (key, value, code) = forge::malformed(draw);
        let sent = MalformedRecord { topic, code, positions: BTreeSet::new() };
        self.parts.in_flight.ledger().malformed_records.sent.insert(key.clone(), sent);
        self.publish(OutgoingRecord {
            topic: topic.name(),
            partition: None,
            key: Some(key.as_bytes()),
            value: value.as_deref(),
            headers: &[],
        })
        .await;
        1
    }

    async fn send_forged(&self, event: Option<StoredEvent>) -> usize {
        let Some(event) = event else { return 0 };
        let value = Some(event.body.as_bytes());
        self.parts.in_flight.ledger().forged.expect(digest(&value));
        let headers = event.headers(event.order_id.as_str());
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        self.publish(OutgoingRecord {
            topic: event.event_type.topic().name(),
            partition: None,
            key: Some(event.order_id.as_str().as_bytes()),
            value,
            headers: &headers,
        })
        .await;
        1
    }

    /// Publishes a record, with retries: the broker may be away.
    async fn publish(&self, record: OutgoingRecord<'_>) {
        let until = Instant::now() + PUBLISH_TIMEOUT;
        while let Err(error) = self.parts.producer.publish_to(record).await {
            if Instant::now() > until {
                let error = format!("cannot publish to {} for 60 s: {error}", record.topic);
                return self.parts.in_flight.ledger().add_error(error);
            }
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    }
}
