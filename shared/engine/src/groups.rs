//! Groups the keys that need the same step into as few requests as there can be.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;

use crate::{
    Effect,
    new_row::NewRow,
    orders_table::{MAX_KEYS, MAX_REQUEST_BYTES, MAX_ROWS},
    record::Record,
    rows::Rows,
    slot::{Slot, Step},
    stage::{AnyStage, ItemKey},
    steps::Request,
    transaction::MAX_ACTIONS,
};

/// The most orders of one batch about which a service outside is asked at a time.
const MAX_OUTSIDE: usize = 32;

/// The most requests of one step at a time: each holds a connection, which a cold process opens.
const MAX_REQUESTS: usize = 8;

/// The requests that can be made now; their slots are in flight from here on.
pub(crate) fn next_requests<'a>(rows: &mut Rows<'a>, now: Instant) -> Vec<Request<'a>> {
    let mut requests = look_ups(rows, now);
    requests.extend(decisions(rows, now));
    requests.extend(undos(rows, now));
    requests.extend(inserts(rows, now));
    requests.extend(commits(rows, now));
    requests
}

fn is_ready(slot: &Slot<'_>, now: Instant) -> bool {
    !slot.is_in_flight && slot.not_before.is_none_or(|it| it <= now)
}

/// The slots that can make this step now, in the order of the batch; with those that are making it,
/// at most `limit`.
fn ready(
    rows: &Rows<'_>,
    now: Instant,
    limit: usize,
    is_at: impl Fn(&Slot<'_>) -> bool,
) -> Vec<usize> {
    let in_flight = rows.slots.iter().filter(|slot| slot.is_in_flight && is_at(slot)).count();
    let slots = rows.slots.iter().enumerate();
    let ready = slots.filter(|(_, slot)| is_ready(slot, now) && is_at(slot));
    ready.map(|(index, _)| index).take(limit.saturating_sub(in_flight)).collect()
}

fn set_in_flight(slots: &mut [Slot<'_>], indices: &[usize]) {
    for index in indices {
        if let Some(slot) = slots.get_mut(*index) {
            slot.is_in_flight = true;
        }
    }
}

/// The most rows that a slot looks up beside its own.
fn max_needed(stage: &dyn AnyStage) -> usize {
    stage.needs().len() + 2 * usize::from(stage.acts_on_stored_event())
}

/// Own and needed rows, 100 keys a request.
fn look_ups<'a>(rows: &mut Rows<'a>, now: Instant) -> Vec<Request<'a>> {
    let stage = rows.stage;
    let size = MAX_KEYS / (1 + stage.map_or(0, max_needed));
    let ready = ready(rows, now, MAX_REQUESTS * size, |slot| matches!(slot.step, Step::LookUp));
    let chunks = ready.chunks(size);
    chunks
        .map(|chunk| {
            set_in_flight(&mut rows.slots, chunk);
            let slots = chunk.iter().filter_map(|index| rows.slots.get(*index));
            let keys = slots.flat_map(|slot| {
                let stage = stage.filter(|_| slot.decided.is_none());
                let needed = stage.map_or_else(Vec::new, |stage| slot.needed_stages(stage));
                let needed = needed.into_iter().map(|stage| slot.key_of(stage));
                std::iter::once(slot.key.clone()).chain(needed)
            });
            Request::LookUp(chunk.to_vec(), keys.collect())
        })
        .collect()
}

fn decisions<'a>(rows: &mut Rows<'a>, now: Instant) -> Vec<Request<'a>> {
    let Some(stage) = rows.stage else { return Vec::new() };
    let limit = if stage.acts_outside() { MAX_OUTSIDE } else { usize::MAX };
    let mut ready = ready(rows, now, usize::MAX, |slot| matches!(slot.step, Step::Decide));
    // An order in trouble comes after those that were not asked about yet.
    ready.sort_by_key(|index| rows.slots.get(*index).map(|slot| slot.failures));
    let asked = rows.slots.iter().filter(|it| it.is_in_flight && matches!(it.step, Step::Decide));
    ready.truncate(limit.saturating_sub(asked.count()));
    set_in_flight(&mut rows.slots, &ready);
    ready
        .into_iter()
        .filter_map(|index| {
            let slot = rows.slots.get(index)?;
            let event = slot.record.and_then(Record::event)?;
            let stored = slot.stored.clone();
            Some(Request::Decide(index, stage, event, stored, Arc::clone(&slot.needed)))
        })
        .collect()
}

fn undos<'a>(rows: &mut Rows<'a>, now: Instant) -> Vec<Request<'a>> {
    let Some(stage) = rows.stage else { return Vec::new() };
    let ready = ready(rows, now, MAX_OUTSIDE, |slot| matches!(slot.step, Step::Undo(_)));
    set_in_flight(&mut rows.slots, &ready);
    ready
        .into_iter()
        .filter_map(|index| {
            let slot = rows.slots.get(index)?;
            let (Step::Undo(new), Some(record)) = (&slot.step, slot.record) else { return None };
            let stored = slot.stored.clone();
            Some(Request::Undo(index, stage, record.event()?, stored, Arc::clone(new)))
        })
        .collect()
}

/// A group of rows for one request.
#[derive(Default)]
struct Group {
    slots: Vec<usize>,
    rows: Vec<Arc<NewRow>>,
    bytes: usize,
}

impl Group {
    fn add(&mut self, slot: usize, new: &Arc<NewRow>) {
        self.slots.push(slot);
        self.rows.push(Arc::clone(new));
        self.bytes += new.row.size_bytes();
    }

    fn has_room(&self, new: &NewRow, max_rows: usize) -> bool {
        self.rows.len() < max_rows && self.bytes + new.row.size_bytes() <= MAX_REQUEST_BYTES
    }
}

/// True for a slot with a row to insert: in a transaction, with effects or over an expired row, or
/// without one.
fn is_insert(slot: &Slot<'_>, in_transaction: bool) -> bool {
    let has =
        |new: &Arc<NewRow>| (!new.effects.is_empty() || slot.replaces_expired) == in_transaction;
    matches!(slot.step, Step::Insert) && slot.decided.as_ref().is_some_and(has)
}

/// Rows without effects, 25 a request.
fn inserts<'a>(rows: &mut Rows<'a>, now: Instant) -> Vec<Request<'a>> {
    let max_rows = MAX_ROWS.min(rows.max_group);
    let ready = ready(rows, now, MAX_REQUESTS * max_rows, |slot| is_insert(slot, false));
    let mut groups: Vec<Group> = Vec::new();
    for index in &ready {
        let Some(new) = rows.slots.get(*index).and_then(|slot| slot.decided.as_ref()) else {
            continue;
        };
        match groups.last_mut().filter(|group| group.has_room(new, max_rows)) {
            Some(group) => group.add(*index, new),
            None => {
                let mut group = Group::default();
                group.add(*index, new);
                groups.push(group);
            }
        }
    }
    set_in_flight(&mut rows.slots, &ready);
    groups.into_iter().map(|it| Request::Insert(it.slots, it.rows)).collect()
}

/// Rows with effects, in groups of up to 100 rows and items. Groups that run at a time share no
/// item: they would only conflict.
fn commits<'a>(rows: &mut Rows<'a>, now: Instant) -> Vec<Request<'a>> {
    let limit = MAX_REQUESTS * MAX_ACTIONS.min(rows.max_group);
    let mut ready = ready(rows, now, limit, |slot| is_insert(slot, true));
    if ready.is_empty() {
        return Vec::new();
    }
    // Those that fit together come first; what they leave is for those that are tried alone.
    let is_alone = |index: &usize| rows.slots.get(*index).is_some_and(|slot| slot.is_alone);
    ready.sort_by_key(is_alone);
    let in_flight = rows.slots.iter().filter(|it| it.is_in_flight && is_insert(it, true));
    let in_flight = in_flight.filter_map(|slot| slot.decided.as_ref());
    let mut busy: HashSet<ItemKey<'_>> =
        in_flight.flat_map(|new| &new.effects).map(Effect::item).collect();
    let (mut groups, mut group) = (Vec::new(), Group::default());
    let mut items: HashSet<ItemKey<'_>> = HashSet::new();
    for index in &ready {
        let Some(slot) = rows.slots.get(*index) else { continue };
        let Some(new) = slot.decided.as_ref() else { continue };
        let own: HashSet<_> = new.effects.iter().map(Effect::item).collect();
        let actions = group.rows.len() + 1 + items.union(&own).count();
        let has_room = actions <= MAX_ACTIONS
            && group.has_room(new, rows.max_group)
            && (!slot.is_alone || group.rows.is_empty());
        if !has_room && !group.rows.is_empty() {
            busy.extend(items.drain());
            groups.push(std::mem::take(&mut group));
        }
        if own.is_disjoint(&busy) {
            items.extend(own);
            group.add(*index, new);
        }
    }
    if !group.rows.is_empty() {
        groups.push(group);
    }
    groups.truncate(MAX_REQUESTS);
    for group in &groups {
        set_in_flight(&mut rows.slots, &group.slots);
    }
    groups.into_iter().map(|it| Request::Commit(it.slots, it.rows)).collect()
}
