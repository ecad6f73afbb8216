//! The state of an order: a few words, never its records.
//!
//! Records are told apart by a digest of their bytes: the same bytes again are a redelivery, other
//! bytes for the same event are a fault.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use contracts::failure::failure_code;
use contracts::nesting::compact;
use contracts::{Envelope, EventType, FailureCode, Item, Money, Object, STAGES, Topic};

use super::orders::{Expected, Order, Repeat};

/// One order.
#[derive(Debug, Default)]
pub(crate) struct OrderState {
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
    /// Of the payload as it was posted; `None` where the body is not a JSON object.
    pub(crate) content: Option<u64>,
    pub(crate) at: Instant,
    /// The permits that it holds until it ends.
    pub(crate) permits: usize,
    /// Whether a cancellation was answered with 202.
    pub(crate) is_cancelled: bool,
    /// Whether its first record has to be put a second time, once it is seen.
    is_repeat_due: bool,
}

/// How an order ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) event_type: EventType,
    pub(crate) code: Option<FailureCode>,
    /// Of the order's payload in the event; `None` where a failure event does not wrap it.
    pub(crate) content: Option<u64>,
    pub(crate) at: Instant,
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

/// An event compared with the one of its topic that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observation {
    New,
    Duplicate,
    Conflicting,
}

impl OrderState {
    /// The HTTP API took the order. Returns its first record where that is to be put once more
    /// and has been seen already.
    pub(crate) fn accept(&mut self, order: &Order, at: Instant, permits: usize) -> Option<Put> {
        let created = self.created.take().filter(|_| order.repeat == Repeat::Record);
        self.accepted = Some(Accepted {
            expected: order.kind.expected(),
            customer_id: order.customer_id.clone(),
            items: order.items.clone(),
            amount: order.amount,
            content: Object::parse(&order.body).ok().map(|payload| content(&payload)),
            at,
            permits,
            is_cancelled: false,
            is_repeat_due: order.repeat == Repeat::Record && created.is_none(),
        });
        created
    }

    /// An event with this digest was seen on the topic.
    pub(crate) fn observe(&mut self, topic: Topic, digest: u64) -> Observation {
        let Some(event) = place(topic).and_then(|place| self.events.get_mut(place)) else {
            return Observation::Conflicting;
        };
        match event.replace(digest) {
            None => Observation::New,
            Some(before) if before == digest => Observation::Duplicate,
            Some(_) => Observation::Conflicting,
        }
    }

    /// Whether the event with this digest has been seen on the topic.
    pub(crate) fn has_seen(&self, topic: Topic, digest: u64) -> bool {
        place(topic).and_then(|place| self.events.get(place)) == Some(&Some(digest))
    }

    /// The first record was seen. Returns it where it is to be put once more.
    pub(crate) fn create(&mut self, put: Put) -> Option<Put> {
        match &mut self.accepted {
            None => {
                self.created = Some(put);
                None
            }
            Some(accepted) => std::mem::take(&mut accepted.is_repeat_due).then_some(put),
        }
    }

    /// A terminal event was seen. An order has one end: the event of the one before, if any.
    pub(crate) fn end(&mut self, event: &Envelope<'_>, at: Instant) -> Result<(), EventType> {
        if let Some(end) = &self.end {
            return Err(end.event_type);
        }
        let content = if event.event_type.is_failure() {
            let original = event.payload.get("originalPayload");
            let original = original.and_then(|json| Object::parse(json).ok());
            original.map(|payload| content(&payload))
        } else {
            Some(content(&event.payload))
        };
        let code = failure_code(&event.payload);
        self.end = Some(End { event_type: event.event_type, code, content, at });
        Ok(())
    }
}

/// Which of the six topics it is.
pub(super) fn place(topic: Topic) -> Option<usize> {
    Topic::ALL.iter().position(|other| *other == topic)
}

/// A digest of the payload without the fields that stages add: names, and values as they are spelled.
pub(super) fn content(payload: &Object<'_>) -> u64 {
    let is_added = |name: &str| STAGES.iter().any(|stage| stage.adds.contains(&name));
    let fields = payload.fields().filter(|(name, _)| !is_added(name));
    digest(&fields.map(|(name, value)| (name, compact(value))).collect::<Vec<_>>())
}

pub(super) fn digest(bytes: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
