//! Compares an event with the rows of its order, for stages that act on the stored event.
//!
//! A publisher stores its event before it publishes it, so a genuine event is always confirmed. One
//! that was decided early waits: it has its turn when the event that its stage awaits is stored.

use std::sync::Arc;

use contracts::{EventType, StageName};

use crate::{
    Needed, Row, RowBody,
    new_row::{NewRow, fits},
    record::Record,
    row::UnreadableRow,
    rows::Rows,
    slot::Step,
};

/// True for a row of this stage with an event, not a malformed report, that `is_it` accepts.
fn holds(row: &Row, stage: StageName, is_it: impl Fn(EventType) -> bool) -> bool {
    let event = row.event().filter(|event| !event.is_malformed_report);
    row.key.stage == stage && event.is_some_and(|event| is_it(event.event_type))
}

/// The index of the row that confirms an event of this type.
fn confirming_row(event_type: EventType, rows: &[Row]) -> Option<usize> {
    let publisher = event_type.published_by();
    let index = rows.iter().position(|row| holds(row, publisher, |it| it == event_type))?;
    let is_early = rows.get(index).is_some_and(Row::is_early);
    let upstream = publisher.spec().upstream();
    let is_due =
        |row: &Row| upstream.is_some_and(|it| holds(row, it, |of| publisher.spec().is_for(of)));
    (!is_early || rows.iter().any(is_due)).then_some(index)
}

impl Rows<'_> {
    /// True if the event of an early row may be published: the record that triggers it is confirmed,
    /// or the stage acts on any record.
    pub(crate) fn has_turn(&self, index: usize, rows: Result<&[Row], &UnreadableRow>) -> bool {
        let Some((stage, slot)) = self.stage.zip(self.slots.get(index)) else { return true };
        if slot.publisher(stage).is_none() {
            return true;
        }
        let event = slot.record.and_then(Record::event);
        let is_confirmed =
            |rows| event.and_then(|it| confirming_row(it.event_type, rows)).is_some();
        rows.is_ok_and(is_confirmed)
    }

    /// Takes the rows beside the slot's own, and acts on the event that the publisher has stored.
    pub(crate) fn verify(&mut self, index: usize, mut rows: Vec<Row>) {
        let stage = self.stage;
        let Some(slot) = self.slots.get_mut(index) else { return };
        let is_verified = stage.is_some_and(|stage| slot.publisher(stage).is_some());
        let event = slot.record.and_then(Record::event).filter(|_| is_verified);
        let Some(event_type) = event.map(|event| event.event_type) else {
            slot.needed = Arc::new(Needed(rows));
            return;
        };
        let Some(publisher) = confirming_row(event_type, &rows).map(|it| rows.swap_remove(it))
        else {
            return self.pass_by(index);
        };
        slot.needed = Arc::new(Needed(rows));
        self.act_on(index, publisher);
    }

    /// Acts on the event in the publisher's row, where the record is not the same bytes.
    fn act_on(&mut self, index: usize, publisher: Row) {
        self.take_stored(index, publisher);
        let (Some(slot), Some(stamp)) = (self.slots.get_mut(index), self.stamp) else { return };
        let Some(position) = slot.record.map(|record| record.position) else { return };
        let too_large = slot.with_event(|event| {
            (stamp.stage.spec().publishes.is_some() && !fits(event))
                .then(|| NewRow::too_large(event, position, slot.stamp(stamp)))
        });
        if let Some(too_large) = too_large.flatten() {
            slot.decide(too_large);
        }
    }

    /// Takes the event of the row that confirms the record's, if one of these does.
    pub(crate) fn confirm(&mut self, index: usize, mut rows: Vec<Row>) {
        let event = self.slots.get(index).and_then(|slot| slot.record?.event());
        let confirming = event.and_then(|it| confirming_row(it.event_type, &rows));
        if let Some(publisher) = confirming.map(|it| rows.swap_remove(it)) {
            self.take_stored(index, publisher);
        }
    }

    fn take_stored(&mut self, index: usize, publisher: Row) {
        let (Some(slot), Some(stamp)) = (self.slots.get_mut(index), self.stamp) else { return };
        let Some((record, event)) = slot.record.and_then(|it| Some((it, it.event()?))) else {
            return;
        };
        slot.expires_at = Some(publisher.expires_at);
        let RowBody::Event(stored) = publisher.body else { return };
        if stored.body != event.text() {
            tracing::warn!(
                orderId = event.order_id.as_str(),
                stage = stamp.stage.name(),
                topic = record.position.topic.name(),
                partition = record.position.partition,
                offset = record.position.offset,
                "the record is not the stored event: acting on the stored event"
            );
            slot.stored = Some(Arc::new(stored));
        }
    }

    /// Leaves out an event that the order's rows contradict. An event of another type under the same
    /// key may be the one that they confirm.
    pub(crate) fn pass_by(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.stored = None;
        slot.unverified.extend(slot.record.and_then(Record::event).map(|it| it.event_type));
        let of_key = self.records.iter().zip(&self.slot_of).filter(|(_, of)| **of == Some(index));
        let is_open = |record: &&Record<'_>| {
            record.event().is_some_and(|it| !slot.unverified.contains(&it.event_type))
        };
        let next = of_key.map(|(record, _)| record).find(is_open);
        slot.step = if next.is_some() { Step::LookUp } else { Step::Unverified };
        if let Some(record) = next {
            slot.record = Some(record);
            slot.trace = record.trace.as_ref();
        }
    }
}
