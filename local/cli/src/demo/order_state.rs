//! The state of an order, without its records.
//!
//! Events are compared by a digest of their bytes: the same digest is a redelivery, another digest
//! for the same event is an error.

use std::time::Instant;

use contracts::failure::failure_code;
use contracts::{Envelope, EventType, FailureCode, Item, Money, Object, Topic};

use super::content::Content;
use super::orders::{Expected, Order, Repeat};
use crate::fixtures::CreatedRecord;

#[derive(Debug, Default)]
pub(crate) struct OrderState {
    pub(crate) accepted: Option<Accepted>,
    pub(crate) end: Option<End>,
    /// Digest of its event on each topic.
    events: [Option<u64>; Topic::ALL.len()],
    /// The `OrderCreated` record, if it arrives before the HTTP response.
    created: Option<CreatedRecord>,
}

#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) expected: Expected,
    pub(crate) customer_id: Option<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) amount: Money,
    /// The posted payload; `None` if the body is not a JSON object.
    pub(crate) content: Option<Content>,
    /// The time of the response; `None` if its client did not wait for one.
    pub(crate) at: Option<Instant>,
    /// Permits to release when it ends.
    pub(crate) permits: usize,
    /// The response to its cancellation was 202.
    pub(crate) is_cancelled: bool,
    /// Its `OrderCreated` record must be published a second time when it is observed.
    is_repeat_due: bool,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) event_type: EventType,
    pub(crate) code: Option<FailureCode>,
    /// The order's payload in the event; `None` if a failure event does not wrap it.
    pub(crate) content: Option<Content>,
    pub(crate) at: Instant,
}

/// A record of a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// Compares an event with the order's previous one on the same topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observation {
    New,
    Duplicate,
    Conflicting,
}

impl OrderState {
    /// Returns the `OrderCreated` record if it must be published a second time and is already
    /// observed.
    pub(crate) fn accept(
        &mut self,
        order: &Order,
        at: Option<Instant>,
        permits: usize,
    ) -> Option<CreatedRecord> {
        let created = self.created.take().filter(|_| order.repeat == Repeat::Record);
        self.accepted = Some(Accepted {
            expected: order.kind.expected(),
            customer_id: order.customer_id.clone(),
            items: order.items.clone(),
            amount: order.amount,
            content: Object::parse(&order.body).ok().map(|payload| Content::of(&payload)),
            at,
            permits,
            is_cancelled: false,
            is_repeat_due: order.repeat == Repeat::Record && created.is_none(),
        });
        created
    }

    pub(crate) fn observe(&mut self, topic: Topic, digest: u64) -> Observation {
        let Some(event) = topic_index(topic).and_then(|index| self.events.get_mut(index)) else {
            return Observation::Conflicting;
        };
        match event.replace(digest) {
            None => Observation::New,
            Some(before) if before == digest => Observation::Duplicate,
            Some(_) => Observation::Conflicting,
        }
    }

    /// True once an event of the order is on this topic.
    pub(crate) fn is_on(&self, topic: Topic) -> bool {
        topic_index(topic).and_then(|index| self.events.get(index)).is_some_and(Option::is_some)
    }

    pub(crate) fn has_seen(&self, topic: Topic, digest: u64) -> bool {
        topic_index(topic).and_then(|index| self.events.get(index)) == Some(&Some(digest))
    }

    /// Records the `OrderCreated` record. Returns it if it must be published a second time.
    pub(crate) fn create(&mut self, record: CreatedRecord) -> Option<CreatedRecord> {
        match &mut self.accepted {
            None => {
                self.created = Some(record);
                None
            }
            Some(accepted) => std::mem::take(&mut accepted.is_repeat_due).then_some(record),
        }
    }

    /// Records a terminal event.
    ///
    /// # Errors
    /// The order has already ended, with the returned event.
    pub(crate) fn end(&mut self, event: &Envelope<'_>, at: Instant) -> Result<(), EventType> {
        if let Some(end) = &self.end {
            return Err(end.event_type);
        }
        let content = if event.event_type.is_failure() {
            let original = event.payload.get("originalPayload");
            let original = original.and_then(|json| Object::parse(json).ok());
            original.map(|payload| Content::of(&payload))
        } else {
            Some(Content::of(&event.payload))
        };
        let code = failure_code(&event.payload);
        self.end = Some(End { event_type: event.event_type, code, content, at });
        Ok(())
    }
}

pub(super) fn topic_index(topic: Topic) -> Option<usize> {
    Topic::ALL.iter().position(|other| *other == topic)
}
