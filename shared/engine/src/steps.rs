//! The steps of a row key: the result of a request, and where the key goes from there.
//!
//! ```text
//! look up ──► there is a row ──► (undo) ──────────────────────► settled: its event is published
//!    │ │ none, and other rows contradict the event ──► nothing     ▲
//!    │ none                                                        │
//!    ▼                                                             │
//! decide ──► insert ──► new ───────────────────────────────────────┤
//!               │ refused: the rejection is inserted instead ──────┤
//!               └ there is one already: look up ───────────────────┘
//! ```
//! A stage that acts outside undoes what it did there for an order whose row rejects it: the order
//! was cancelled. A failed step is repeated after a pause. A decision is kept until its row is
//! stored, so that a stage is never asked again for an insert that failed.

use std::{collections::HashMap, sync::Arc};

use contracts::{Envelope, StoredEvent};
use tokio::time::Instant;

use crate::{
    Decision, Needed, Row, RowBody, RowKey, TransientError,
    error::{Error, PermanentError, backoff},
    log::Outcome,
    new_row::NewRow,
    orders_table::Inserted,
    row::UnreadableRow,
    rows::Rows,
    slot::{Settled, Step},
    stage::AnyStage,
};

/// A request for the next step of some slots.
pub(crate) enum Request<'a> {
    LookUp(Vec<usize>, Vec<RowKey>),
    Decide(usize, &'a dyn AnyStage, &'a Envelope<'a>, Option<Arc<StoredEvent>>, Arc<Needed>),
    Insert(Vec<usize>, Vec<Arc<NewRow>>),
    Undo(usize, &'a dyn AnyStage, &'a Envelope<'a>, Option<Arc<StoredEvent>>, Arc<NewRow>),
    Commit(Vec<usize>, Vec<Arc<NewRow>>),
}

/// The failures of a whole request after which a smaller one is tried.
const PATIENT_FAILURES: usize = 3;

/// The rows of a look-up; one that cannot be read holds up nobody but its order.
type Found = HashMap<RowKey, Result<Row, UnreadableRow>>;

/// A request that is done.
pub(crate) enum Done {
    LookedUp(Vec<usize>, Result<Found, TransientError>),
    Decided(usize, Result<Decision, Error>),
    Inserted(Vec<(usize, Inserted)>),
    Undone(usize, Result<(), Error>),
}

impl Rows<'_> {
    /// Takes the result of a request.
    pub(crate) fn apply(&mut self, done: Done) {
        match done {
            Done::LookedUp(slots, Ok(mut found)) => {
                for index in slots {
                    self.looked_up(index, &mut found);
                }
            }
            Done::LookedUp(slots, Err(error)) => {
                self.failed(slots.into_iter().map(|index| (index, error.clone())).collect());
            }
            Done::Decided(index, Ok(decision)) => self.decided(index, decision),
            Done::Decided(index, Err(error)) | Done::Undone(index, Err(error)) => match error {
                Error::Transient(error) => self.failed(vec![(index, error)]),
                Error::Permanent(error) => self.failed_for_good(index, error),
            },
            Done::Undone(index, Ok(())) => self.undone(index),
            Done::Inserted(outcomes) => {
                let (mut failed, size) = (Vec::new(), outcomes.len());
                for (index, inserted) in outcomes {
                    if let Some(error) = self.inserted(index, inserted, size) {
                        failed.push((index, error));
                    }
                }
                self.failed(failed);
            }
        }
    }

    fn looked_up(&mut self, index: usize, found: &mut Found) {
        let Some(slot) = self.slots.get(index) else { return };
        let own = found.remove(&slot.key).transpose();
        let needed = self.stage.map_or_else(Vec::new, |stage| slot.needed_stages(stage));
        let needed = needed.into_iter().filter_map(|stage| found.remove(&slot.key_of(stage)));
        let needed: Result<Vec<Row>, _> = needed.collect();
        let is_decided = slot.decided.is_some();
        let is_early = matches!(&own, Ok(Some(row)) if row.is_early());
        let waits = is_early && !is_decided && !self.has_turn(index, needed.as_deref());
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.is_in_flight = false;
        match (own, needed) {
            (Ok(Some(row)), needed) if !waits => {
                // The same bytes as ours: the insert succeeded and its response was lost.
                let decided = slot.decided.take();
                let may_be_own = slot.failures > 0;
                let is_accepted = |new: &Arc<NewRow>| new.outcome == Outcome::Accepted;
                let may_have_acted = row.is_early() || decided.as_ref().is_some_and(is_accepted);
                match decided.filter(|new| may_be_own && new.row.body == row.body) {
                    Some(own) => self.settled(index, own, true),
                    None => {
                        // What is undone is what was decided about: the event that is stored.
                        if row.is_early() && !is_decided {
                            self.confirm(index, needed.unwrap_or_default());
                        }
                        self.found(index, row, may_have_acted);
                    }
                }
            }
            // It waits for its turn, and the record may be forged.
            (Ok(Some(_)), Ok(_)) => self.pass_by(index),
            (Err(unreadable), _) | (_, Err(unreadable)) => {
                slot.step = Step::Permanent(PermanentError::new(unreadable.to_string()));
            }
            (Ok(None), Ok(_)) if is_decided => {
                // What is in the way of the insert and is not read has expired.
                slot.replaces_expired = true;
                slot.step = Step::Insert;
            }
            (Ok(None), Ok(rows)) => {
                slot.step = Step::Decide;
                self.verify(index, rows);
            }
        }
    }

    /// Takes a row that was stored before.
    fn found(&mut self, index: usize, row: Row, may_have_acted: bool) {
        let is_rejection = row.event().is_some_and(|event| event.event_type.is_failure());
        let acts_outside = self.stage.is_some_and(AnyStage::acts_outside);
        let stored = NewRow { row, effects: Vec::new(), outcome: Outcome::Redelivered };
        let Some(slot) = self.slots.get_mut(index) else { return };
        if may_have_acted && is_rejection && acts_outside {
            slot.step = Step::Undo(Arc::new(stored));
        } else {
            self.settled(index, Arc::new(stored), false);
        }
    }

    fn undone(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.is_in_flight = false;
        if let Step::Undo(stored) = &slot.step {
            let stored = Arc::clone(stored);
            self.settled(index, stored, false);
        }
    }

    fn decided(&mut self, index: usize, decision: Decision) {
        let (Some(slot), Some(stamp)) = (self.slots.get_mut(index), self.stamp) else { return };
        slot.is_in_flight = false;
        let Some(position) = slot.record.map(|record| record.position) else { return };
        let stamp = slot.stamp(stamp);
        let new = match decision {
            Decision::Accept { fields, effects } => {
                slot.with_event(|event| NewRow::accepted(event, &fields, effects, stamp))
            }
            Decision::Reject(reason) => {
                slot.with_event(|event| NewRow::rejected(event, Some(position), &reason, stamp))
            }
            Decision::Nothing => return self.pass_by(index),
        };
        if let Some(new) = new {
            slot.decide(new);
        }
    }

    /// Takes the outcome of one insert; the error of one that failed.
    fn inserted(
        &mut self,
        index: usize,
        inserted: Inserted,
        group_size: usize,
    ) -> Option<TransientError> {
        let slot = self.slots.get_mut(index)?;
        slot.is_in_flight = false;
        match inserted {
            Inserted::New => {
                if let Some(new) = slot.decided.take() {
                    self.settled(index, new, true);
                }
            }
            Inserted::Existing => slot.step = Step::LookUp,
            Inserted::Refused(reason) => self.decided(index, Decision::Reject(reason)),
            Inserted::Regroup => {}
            Inserted::Alone => slot.is_alone = true,
            Inserted::Permanent(error) => slot.step = Step::Permanent(error),
            Inserted::Failed(error) => return Some(error),
            Inserted::RequestFailed(error) => {
                // What a request contains may be refused at once, or be too much again and again.
                if error.code() == Some("ValidationException") || slot.failures >= PATIENT_FAILURES
                {
                    self.max_group = self.max_group.min(group_size.div_ceil(2));
                }
                return Some(error);
            }
        }
        None
    }

    /// Pauses these slots, for the same time: those that failed together go on together.
    fn failed(&mut self, failed: Vec<(usize, TransientError)>) {
        let failures =
            failed.iter().filter_map(|(index, _)| Some(self.slots.get(*index)?.failures));
        let pause = backoff(failures.max().unwrap_or_default());
        let not_before = Instant::now() + pause;
        for (index, error) in failed {
            if let Some(slot) = self.slots.get_mut(index) {
                tracing::debug!(error = error.chain(), pauseMs = pause.as_millis(), "retrying");
                slot.is_in_flight = false;
                slot.failures += 1;
                slot.not_before = Some(not_before);
                slot.last_error = Some(error);
            }
        }
    }

    /// Leaves a slot to a person.
    fn failed_for_good(&mut self, index: usize, error: PermanentError) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.is_in_flight = false;
            slot.step = Step::Permanent(error);
        }
    }

    /// Publishes the event of a row at once; its delivery is awaited at the end.
    fn settled(&mut self, index: usize, new: Arc<NewRow>, is_new: bool) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let (true, Some(stage)) = (is_new, self.stage) {
            slot.with_event(|event| stage.on_inserted(event, &new.row));
        }
        let delivery = match &new.row.body {
            RowBody::Event(event) if self.publishes => {
                let publisher = &self.context.publisher;
                Some(publisher.publish(&new.row.key.id, event, slot.trace))
            }
            RowBody::Event(_) | RowBody::Data(_) => None,
        };
        slot.step = Step::Settled(Settled { new, is_new, delivery });
    }
}
