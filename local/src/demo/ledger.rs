//! What has been seen of every order? A few words for each, whatever the number of records.
//!
//! Records are told apart by a digest of their bytes: the same bytes again are a redelivery, other
//! bytes for the same event are a fault. The rules themselves are in `books`.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use contracts::failure::failure_code;
use contracts::{Envelope, EventType, FailureCode, Item, JsonObject, Money, Source, Topic};
use serde_json::Value;

use super::orders::{Expected, Order, Repeat};
use super::schemas::Schemas;

/// How many faults are kept word for word; the others are only counted.
const MAX_FAULTS: usize = 100;
/// What the stages add to an order's payload.
const ADDED_FIELDS: [&str; 2] = ["reservationId", "paymentId"];

/// Everything that was sent and seen.
#[derive(Debug)]
pub(crate) struct Ledger {
    schemas: Schemas,
    pub(crate) orders: HashMap<String, OrderSeen>,
    pub(crate) junk: HashMap<String, Junk>,
    pub(crate) reports: HashMap<Source, Report>,
    /// Orders that the HTTP API did not take, by its status and whether that had to be so.
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) faults: Vec<String>,
    pub(crate) further_faults: u64,
    /// Events of each topic, each counted once.
    pub(crate) events: [u64; 6],
    /// Events published again, byte for byte.
    pub(crate) repeated: u64,
    pub(crate) dead_lettered: u64,
    /// Orders that the HTTP API has answered for good.
    pub(crate) answered: u64,
    pub(crate) accepted: u64,
    pub(crate) ended: u64,
    /// Records seen, whatever they are.
    pub(crate) records: u64,
    /// Records that are to be put a second time.
    puts: Vec<Put>,
    /// The offset after the last record seen, by topic and partition.
    pub(crate) seen_up_to: HashMap<(String, i32), i64>,
}

/// One order.
#[derive(Debug, Default)]
pub(crate) struct OrderSeen {
    pub(crate) accepted: Option<Accepted>,
    pub(crate) end: Option<End>,
    /// Digests of its one event on each topic.
    events: [Option<u64>; 6],
    /// The first record, until the order is known to be ours.
    created: Option<Put>,
}

/// An order that the HTTP API took.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) expected: Expected,
    pub(crate) customer_id: Option<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) amount: Money,
    /// Of the payload as it was posted.
    pub(crate) content: u64,
    pub(crate) at: Instant,
    /// The part of the bound on unfinished orders that it takes up.
    pub(crate) weight: usize,
    /// Whether its first record has to be put a second time, once it is seen.
    is_repeat_due: bool,
}

/// How an order ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) event_type: EventType,
    pub(crate) code: Option<FailureCode>,
    /// Of the order's payload in the event, without what the stages added.
    pub(crate) content: Option<u64>,
    pub(crate) at: Instant,
}

/// A record that is no order, put on purpose.
#[derive(Debug)]
pub(crate) struct Junk {
    pub(crate) code: FailureCode,
    pub(crate) lies_at: Option<Source>,
}

/// What was said about a record that is no event.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) event_type: EventType,
    pub(crate) code: FailureCode,
    content: u64,
}

/// A record as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// A record to put on `order.created`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Ledger {
    pub(crate) fn new(schemas: Schemas) -> Self {
        Self {
            schemas,
            orders: HashMap::new(),
            junk: HashMap::new(),
            reports: HashMap::new(),
            refused: BTreeMap::new(),
            faults: Vec::new(),
            further_faults: 0,
            events: [0; 6],
            repeated: 0,
            dead_lettered: 0,
            answered: 0,
            accepted: 0,
            ended: 0,
            records: 0,
            puts: Vec::new(),
            seen_up_to: HashMap::new(),
        }
    }

    /// The HTTP API took the order. Returns the weight to give back where it has ended already.
    pub(crate) fn accept(
        &mut self,
        order_id: &str,
        order: &Order,
        at: Instant,
        weight: usize,
    ) -> Option<usize> {
        let content = serde_json::from_str(&order.body).ok().as_ref().and_then(content);
        self.answered += 1;
        let seen = self.orders.entry(order_id.to_owned()).or_default();
        if seen.accepted.is_some() {
            self.fault(format!("two different orders were both given the id {order_id}"));
            return Some(weight);
        }
        let created = seen.created.take().filter(|_| order.repeat == Repeat::Record);
        seen.accepted = Some(Accepted {
            is_repeat_due: order.repeat == Repeat::Record && created.is_none(),
            expected: order.kind.expected(),
            customer_id: order.customer_id.clone(),
            items: order.items.clone(),
            amount: order.amount,
            content: content.unwrap_or_default(),
            at,
            weight,
        });
        self.puts.extend(created);
        self.accepted += 1;
        if seen.end.is_none() {
            return None;
        }
        self.ended += 1;
        Some(weight)
    }

    /// The records that are to be put a second time, each once.
    pub(crate) fn take_puts(&mut self) -> Vec<Put> {
        std::mem::take(&mut self.puts)
    }

    /// The HTTP API refused an order that it had to refuse, or might.
    pub(crate) fn refuse(&mut self, status: u16) {
        self.answered += 1;
        *self.refused.entry(status).or_default() += 1;
    }

    /// Something that must not be.
    pub(crate) fn fault(&mut self, sentence: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(sentence);
        } else {
            self.further_faults += 1;
        }
    }

    /// A record was seen. Returns the weight to give back where an order has ended with it.
    pub(crate) fn see(&mut self, record: &Record<'_>, at: Instant) -> Option<usize> {
        self.records += 1;
        let place = (record.topic.to_owned(), record.partition);
        self.seen_up_to.insert(place, record.offset.saturating_add(1));
        let Some(topic) = Topic::from_name(record.topic) else {
            self.dead_lettered += 1;
            return None;
        };
        let source = Source {
            topic: record.topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
        };
        let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
        if topic == Topic::OrderCreated
            && let Some(junk) = key.and_then(|key| self.junk.get_mut(key))
        {
            junk.lies_at = Some(source);
            return None;
        }
        match self.schemas.check(topic, record.key, record.value) {
            Ok(event) => self.see_event(topic, &event, record, at),
            Err(why) => {
                let Source { topic, partition, offset } = source;
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
        event: &Envelope,
        record: &Record<'_>,
        at: Instant,
    ) -> Option<usize> {
        let bytes = digest(&record.value);
        let code = failure_code(&event.payload);
        if let Some(code) = code.filter(|code| code.is_poison()) {
            self.see_report(event, code, bytes);
            return None;
        }
        let order_id = event.order_id.as_str();
        let seen = self.orders.entry(order_id.to_owned()).or_default();
        let before = place_of(topic).and_then(|place| seen.events.get_mut(place))?;
        match *before {
            Some(before) if before == bytes => {
                self.repeated += 1;
                return None;
            }
            Some(_) => {
                let fault = format!("order {order_id} has two different events on {topic}");
                self.fault(fault);
                return None;
            }
            None => *before = Some(bytes),
        }
        if topic == Topic::OrderCreated {
            let value = record.value.map(ToOwned::to_owned);
            let put = Put { key: order_id.into(), value };
            match &mut seen.accepted {
                None => seen.created = Some(put),
                Some(accepted) => {
                    let is_due = std::mem::take(&mut accepted.is_repeat_due);
                    self.puts.extend(is_due.then_some(put));
                }
            }
        }
        if let Some(count) = place_of(topic).and_then(|place| self.events.get_mut(place)) {
            *count += 1;
        }
        if !event.event_type.is_terminal() {
            return None;
        }
        if let Some(end) = &seen.end {
            let other = end.event_type;
            let fault =
                format!("order {order_id} ended twice, with {other} and {}", event.event_type);
            self.fault(fault);
            return None;
        }
        let content = if event.event_type.is_failure() {
            event.payload.get("originalPayload").and_then(content)
        } else {
            content(&event.payload.clone().into())
        };
        seen.end = Some(End { event_type: event.event_type, code, content, at });
        let weight = seen.accepted.as_ref()?.weight;
        self.ended += 1;
        Some(weight)
    }

    fn see_report(&mut self, event: &Envelope, code: FailureCode, bytes: u64) {
        let Some(source) = source(&event.payload) else {
            self.fault(format!("a report of {} does not say where the bad record lies", code));
            return;
        };
        let place = format!("offset {} of {}-{}", source.offset, source.topic, source.partition);
        let report = Report { event_type: event.event_type, code, content: bytes };
        match self.reports.get(&source) {
            None => {
                self.reports.insert(source, report);
            }
            Some(before) if before.content == bytes => self.repeated += 1,
            Some(_) => self.fault(format!("the bad record at {place} was reported twice")),
        }
    }

    /// How many accepted orders have not ended yet.
    pub(crate) fn unfinished(&self) -> u64 {
        self.accepted.saturating_sub(self.ended)
    }
}

/// A digest of the payload without what the stages add to it.
fn content(payload: &Value) -> Option<u64> {
    let mut payload: JsonObject = payload.as_object()?.clone();
    for field in ADDED_FIELDS {
        payload.shift_remove(field);
    }
    Some(digest(&Value::from(payload).to_string()))
}

fn digest(bytes: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn place_of(topic: Topic) -> Option<usize> {
    Topic::ALL.into_iter().position(|other| other == topic)
}

fn source(payload: &JsonObject) -> Option<Source> {
    let source = payload.get("source")?;
    Some(Source {
        topic: source.get("topic")?.as_str()?.to_owned(),
        partition: source.get("partition")?.as_i64()?.try_into().ok()?,
        offset: source.get("offset")?.as_i64()?,
    })
}
