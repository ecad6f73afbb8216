//! The ledger of a run: what was sent and what was seen, in bounded space for each order.
//!
//! It only notes what happened; whether that is right is for `books` to say, but for what shows in
//! a single record.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use contracts::{Envelope, RecordPosition, Topic};

use super::backlog::Ends;
use super::counts::Counts;
use super::malformed_records::{MalformedRecords, Reported};
use super::order_state::{Observation, OrderState, Put, Record, digest, place};
use super::orders::Order;
use super::schemas::Schemas;

/// How many faults are kept word for word; the others are only counted.
const MAX_FAULTS: usize = 100;

/// Everything that was sent and seen.
#[derive(Debug)]
pub(crate) struct Ledger {
    schemas: Schemas,
    /// By order id.
    pub(crate) orders: HashMap<String, OrderState>,
    pub(crate) malformed_records: MalformedRecords,
    /// Orders that the HTTP API did not take, by its status.
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) faults: Vec<String>,
    pub(crate) further_faults: u64,
    pub(crate) counts: Counts,
    /// Records that are to be put a second time.
    puts: Vec<Put>,
    /// The offset after the last record seen, by topic and partition.
    seen_up_to: HashMap<(String, i32), i64>,
}

impl Ledger {
    pub(crate) fn new(schemas: Schemas) -> Self {
        Self {
            schemas,
            orders: HashMap::new(),
            malformed_records: MalformedRecords::default(),
            refused: BTreeMap::new(),
            faults: Vec::new(),
            further_faults: 0,
            counts: Counts::default(),
            puts: Vec::new(),
            seen_up_to: HashMap::new(),
        }
    }

    /// The HTTP API took the order. Returns the permits to release where it has ended already.
    pub(crate) fn accept(
        &mut self,
        order_id: &str,
        order: &Order,
        at: Instant,
        permits: usize,
    ) -> Option<usize> {
        self.counts.answered += 1;
        let seen = self.orders.entry(order_id.to_owned()).or_default();
        if seen.accepted.is_some() {
            self.fault(format!("two different orders were both given the id {order_id}"));
            return Some(permits);
        }
        self.puts.extend(seen.accept(order, at, permits));
        self.counts.accepted += 1;
        seen.end.as_ref()?;
        self.counts.ended += 1;
        Some(permits)
    }

    /// The HTTP API cancelled an order.
    pub(crate) fn cancel(&mut self, order_id: &str) {
        self.counts.cancelled += 1;
        if let Some(order) = self.orders.get_mut(order_id).and_then(|it| it.accepted.as_mut()) {
            order.is_cancelled = true;
        }
    }

    /// The HTTP API did not take the order, and will not.
    pub(crate) fn refuse(&mut self, status: u16) {
        self.counts.answered += 1;
        *self.refused.entry(status).or_default() += 1;
    }

    /// The records that are to be put a second time, each once.
    pub(crate) fn take_puts(&mut self) -> Vec<Put> {
        std::mem::take(&mut self.puts)
    }

    /// Something that must not be.
    pub(crate) fn fault(&mut self, sentence: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(sentence);
        } else {
            self.further_faults += 1;
        }
    }

    /// The orders that were accepted and have not ended.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &str> {
        let orders = self.orders.iter();
        let unfinished = orders.filter(|(_, seen)| seen.accepted.is_some() && seen.end.is_none());
        unfinished.map(|(order_id, _)| order_id.as_str())
    }

    /// Whether everything between these ends of the topics has been seen.
    pub(crate) fn has_seen(&self, from: &Ends, to: &Ends) -> bool {
        to.iter().all(|(place, end)| {
            from.get(place) == Some(end) || self.seen_up_to.get(place) >= Some(end)
        })
    }

    /// A record was seen. Returns the permits to release where an order has ended with it.
    pub(crate) fn see(&mut self, record: &Record<'_>, at: Instant) -> Option<usize> {
        self.counts.records += 1;
        let Record { partition, offset, .. } = *record;
        self.seen_up_to.insert((record.topic.to_owned(), partition), offset.saturating_add(1));
        let Some(topic) = Topic::from_name(record.topic) else {
            self.counts.dead_lettered += 1;
            return None;
        };
        let digest = digest(&record.value);
        if let Some(key) = record.key.and_then(|key| std::str::from_utf8(key).ok()) {
            let position = RecordPosition { topic, partition, offset };
            if topic == Topic::OrderCreated && self.malformed_records.is_expected(key, position) {
                return None;
            }
            // What has been checked once is not checked again.
            if self.orders.get(key).is_some_and(|seen| seen.has_seen(topic, digest)) {
                self.counts.repeated += 1;
                return None;
            }
        }
        match self.schemas.check(topic, record.key, record.value) {
            Ok(event) => self.see_event(topic, &event, digest, record, at),
            Err(why) => {
                self.fault(format!(
                    "the record at offset {offset} of {topic}, partition {partition}, \
                     breaks the contract: {why}"
                ));
                None
            }
        }
    }

    fn see_event(
        &mut self,
        topic: Topic,
        event: &Envelope<'_>,
        digest: u64,
        record: &Record<'_>,
        at: Instant,
    ) -> Option<usize> {
        if event.is_malformed_report() {
            match self.malformed_records.report(event, digest) {
                Reported::New => {}
                Reported::Duplicate => self.counts.repeated += 1,
                Reported::Fault(fault) => self.fault(fault),
            }
            return None;
        }
        let order_id = event.order_id.as_str();
        let seen = self.orders.entry(order_id.to_owned()).or_default();
        match seen.observe(topic, digest) {
            Observation::New => {}
            Observation::Duplicate => {
                self.counts.repeated += 1;
                return None;
            }
            Observation::Conflicting => {
                self.fault(format!("order {order_id} has two different events on {topic}"));
                return None;
            }
        }
        if let Some(count) = place(topic).and_then(|place| self.counts.events.get_mut(place)) {
            *count += 1;
        }
        if topic == Topic::OrderCreated {
            let value = record.value.map(ToOwned::to_owned);
            self.puts.extend(seen.create(Put { key: order_id.into(), value }));
        }
        if event.event_type.is_terminal() { self.see_end(event, at) } else { None }
    }

    fn see_end(&mut self, event: &Envelope<'_>, at: Instant) -> Option<usize> {
        let seen = self.orders.get_mut(event.order_id.as_str())?;
        if let Err(before) = seen.end(event, at) {
            let Envelope { order_id, event_type, .. } = event;
            self.fault(format!("order {order_id} ended twice, with {before} and {event_type}"));
            return None;
        }
        let permits = seen.accepted.as_ref()?.permits;
        self.counts.ended += 1;
        Some(permits)
    }
}
