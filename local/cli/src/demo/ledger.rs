//! The ledger of a run: all sent orders and observed events, in bounded space per order.
//!
//! It checks single records. Rules over the whole run are in `books`.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use contracts::{Envelope, RecordPosition, Topic};

use super::backlog::Ends;
use super::counts::Counts;
use super::forged_events::ForgedEvents;
use super::malformed_records::{MalformedRecords, Reported};
use super::order_state::{Observation, OrderState, Record, topic_index};
use super::orders::Order;
use super::schemas::Schemas;
use crate::fixtures::{CreatedRecord, digest};

/// Errors beyond this number are only counted.
const MAX_ERRORS: usize = 100;

#[derive(Debug)]
pub(crate) struct Ledger {
    schemas: Schemas,
    /// By order id.
    pub(crate) orders: HashMap<String, OrderState>,
    pub(crate) malformed_records: MalformedRecords,
    /// Rejected orders by HTTP status.
    pub(crate) rejected: BTreeMap<u16, u64>,
    pub(crate) errors: Vec<String>,
    pub(crate) further_errors: u64,
    pub(crate) counts: Counts,
    /// Records to publish a second time.
    duplicates: Vec<CreatedRecord>,
    /// The orders whose clients do not wait for the response, by correlation id. Their first event
    /// says that they are accepted.
    unanswered: HashMap<String, Order>,
    /// The events that this run forges: the workflow must act on none of them.
    pub(crate) forged: ForgedEvents,
    /// The offset after the last observed record, by topic and partition.
    seen_up_to: HashMap<(String, i32), i64>,
}

impl Ledger {
    pub(crate) fn new(schemas: Schemas) -> Self {
        Self {
            schemas,
            orders: HashMap::new(),
            malformed_records: MalformedRecords::default(),
            rejected: BTreeMap::new(),
            errors: Vec::new(),
            further_errors: 0,
            counts: Counts::default(),
            duplicates: Vec::new(),
            unanswered: HashMap::new(),
            forged: ForgedEvents::default(),
            seen_up_to: HashMap::new(),
        }
    }

    /// Adds an accepted order. Returns the permits to release if it has already ended.
    pub(crate) fn accept(
        &mut self,
        order_id: &str,
        order: &Order,
        at: Option<Instant>,
        permits: usize,
    ) -> Option<usize> {
        self.counts.answered += 1;
        let seen = self.orders.entry(order_id.to_owned()).or_default();
        if seen.accepted.is_some() {
            self.add_error(format!("two orders have the id {order_id}"));
            return Some(permits);
        }
        self.duplicates.extend(seen.accept(order, at, permits));
        self.counts.accepted += 1;
        seen.end.as_ref()?;
        self.counts.ended += 1;
        Some(permits)
    }

    /// Expects an order with this correlation id, which may be accepted or not.
    pub(crate) fn expect(&mut self, correlation_id: String, order: Order) {
        self.unanswered.insert(correlation_id, order);
    }

    pub(crate) fn cancel(&mut self, order_id: &str) {
        self.counts.cancelled += 1;
        if let Some(order) = self.orders.get_mut(order_id).and_then(|it| it.accepted.as_mut()) {
            order.is_cancelled = true;
        }
    }

    pub(crate) fn reject(&mut self, status: u16) {
        self.counts.answered += 1;
        *self.rejected.entry(status).or_default() += 1;
    }

    /// Takes the records to publish a second time.
    pub(crate) fn take_duplicates(&mut self) -> Vec<CreatedRecord> {
        std::mem::take(&mut self.duplicates)
    }

    /// Records a violation of the contract or of a guarantee.
    pub(crate) fn add_error(&mut self, sentence: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(sentence);
        } else {
            self.further_errors += 1;
        }
    }

    /// Ids of accepted orders that have not ended.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &str> {
        let orders = self.orders.iter();
        let unfinished = orders.filter(|(_, seen)| seen.accepted.is_some() && seen.end.is_none());
        unfinished.map(|(order_id, _)| order_id.as_str())
    }

    /// All records between these ends have been observed.
    pub(crate) fn has_seen(&self, from: &Ends, to: &Ends) -> bool {
        to.iter().all(|(partition, end)| {
            from.get(partition) == Some(end) || self.seen_up_to.get(partition) >= Some(end)
        })
    }

    /// Adds a record of a topic. Returns the permits to release if it ends an order.
    pub(crate) fn observe(&mut self, record: &Record<'_>, at: Instant) -> Option<usize> {
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
            if self.malformed_records.is_expected(key, position)
                || self.forged.is_expected(key, position, digest)
            {
                return None;
            }
            // A duplicate is already checked.
            if self.orders.get(key).is_some_and(|seen| seen.has_seen(topic, digest)) {
                self.counts.repeated += 1;
                return None;
            }
        }
        match self.schemas.check(topic, record.key, record.value) {
            Ok(event) => self.observe_event(topic, &event, digest, record, at),
            Err(why) => {
                self.add_error(format!(
                    "the record at offset {offset} of {topic}, partition {partition}, \
                     breaks the contract: {why}"
                ));
                None
            }
        }
    }

    fn observe_event(
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
                Reported::Error(error) => self.add_error(error),
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
                self.add_error(format!("order {order_id} has two different events on {topic}"));
                return None;
            }
        }
        if let Some(count) = topic_index(topic).and_then(|index| self.counts.events.get_mut(index))
        {
            *count += 1;
        }
        let unanswered = self.unanswered.remove(event.correlation_id.as_ref());
        if let Some(order) = unanswered {
            self.accept(order_id, &order, None, 0);
        }
        let seen = self.orders.entry(order_id.to_owned()).or_default();
        if topic == Topic::OrderCreated {
            let value = record.value.map(ToOwned::to_owned);
            self.duplicates.extend(seen.create(CreatedRecord { key: order_id.into(), value }));
        }
        if event.event_type.is_terminal() { self.observe_end(event, at) } else { None }
    }

    fn observe_end(&mut self, event: &Envelope<'_>, at: Instant) -> Option<usize> {
        let seen = self.orders.get_mut(event.order_id.as_str())?;
        if let Err(before) = seen.end(event, at) {
            let Envelope { order_id, event_type, .. } = event;
            self.add_error(format!("order {order_id} ended twice, with {before} and {event_type}"));
            return None;
        }
        let permits = seen.accepted.as_ref()?.permits;
        self.counts.ended += 1;
        Some(permits)
    }
}
