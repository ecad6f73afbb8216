//! The state of each row key while a batch is settled.
//!
//! ```text
//! look up ──► there is a row ─────────────────────────────────► settled: its event is published
//!    │ none                                                        ▲
//!    ▼                                                             │
//! decide ──► insert ──► new ───────────────────────────────────────┤
//!               │ refused: the rejection is inserted instead ──────┤
//!               └ there is one already: look up ───────────────────┘
//! ```
//! A failed step is repeated after a pause. A decision is kept until its row is stored, so that a
//! stage is never asked again for an insert that failed.

use std::{collections::HashMap, sync::Arc};

use contracts::{Envelope, TraceParent};
use futures::future::join_all;
use kafka::{Delivery, ProduceError};
use tokio::time::Instant;

use crate::{
    Accepted, Context, Decision, Needed, Row, RowBody, RowKey, TransientError,
    error::{BrokenInvariant, Error, backoff},
    groups,
    log::Outcome,
    new_row::{NewRow, Stamp, digest_of, fits},
    orders_table::Inserted,
    record::{Content, Record},
    stage::AnyStage,
};

/// The rows of a batch.
pub(crate) struct Rows<'a> {
    pub(crate) context: &'a Context,
    pub(crate) stage: Option<&'a dyn AnyStage>,
    stamp: Option<Stamp>,
    records: &'a [Record<'a>],
    pub(crate) slots: Vec<Slot<'a>>,
    /// The slot of each record; `None` where it has no row.
    slot_of: Vec<Option<usize>>,
    /// The most rows of one insert: halved where a group fails, so that nobody shares the fate of
    /// a neighbour for long.
    pub(crate) max_group: usize,
}

/// One row key.
pub(crate) struct Slot<'a> {
    pub(crate) key: RowKey,
    pub(crate) record: Option<&'a Record<'a>>,
    trace_parent: Option<&'a TraceParent>,
    pub(crate) step: Step,
    pub(crate) is_in_flight: bool,
    pub(crate) needed: Arc<Needed>,
    pub(crate) decided: Option<Arc<NewRow>>,
    pub(crate) is_alone: bool,
    failures: usize,
    pub(crate) not_before: Option<Instant>,
    last_error: Option<TransientError>,
}

/// What a key needs next.
pub(crate) enum Step {
    LookUp,
    Decide,
    Insert,
    Settled(Settled),
    Broken(BrokenInvariant),
}

/// A key that has its row.
pub(crate) struct Settled {
    new: Arc<NewRow>,
    is_new: bool,
    delivery: Option<Result<Delivery, ProduceError>>,
}

/// A request for the next step of some slots.
pub(crate) enum Request<'a> {
    LookUp(Vec<usize>, Vec<RowKey>),
    Decide(usize, &'a dyn AnyStage, &'a Envelope<'a>, Arc<Needed>),
    Insert(Vec<usize>, Vec<Arc<NewRow>>),
    Commit(Vec<usize>, Vec<Arc<NewRow>>),
}

/// A request that is done.
pub(crate) enum Done {
    LookedUp(Vec<usize>, Result<HashMap<RowKey, Row>, TransientError>),
    Decided(usize, Result<Decision, TransientError>),
    Inserted(Vec<(usize, Inserted)>),
}

impl<'a> Rows<'a> {
    /// One slot for each row key of the batch; the first record of a key decides.
    pub(crate) fn of_batch(
        context: &'a Context,
        stage: &'a dyn AnyStage,
        records: &'a [Record<'a>],
        stamp: Stamp,
    ) -> Self {
        let mut rows = Self {
            context,
            stage: Some(stage),
            stamp: Some(stamp),
            records,
            slots: Vec::with_capacity(records.len()),
            slot_of: Vec::with_capacity(records.len()),
            max_group: usize::MAX,
        };
        let mut known: HashMap<RowKey, Option<usize>> = HashMap::with_capacity(records.len());
        for record in records {
            let slot = record.row_key(stage.name()).and_then(|key| {
                *known.entry(key.clone()).or_insert_with(|| rows.add(key, record, stage, stamp))
            });
            rows.slot_of.push(slot);
        }
        rows
    }

    /// One slot for a row that is decided already.
    pub(crate) fn of_row(
        context: &'a Context,
        row: Row,
        trace_parent: Option<&'a TraceParent>,
    ) -> Self {
        let mut slot = Slot::new(row.key.clone(), None, Step::Insert);
        slot.trace_parent = trace_parent;
        let new = NewRow { row, effects: Vec::new(), outcome: Outcome::Accepted };
        slot.decided = Some(Arc::new(new));
        Self {
            context,
            stage: None,
            stamp: None,
            records: &[],
            slots: vec![slot],
            slot_of: Vec::new(),
            max_group: usize::MAX,
        }
    }

    fn add(
        &mut self,
        key: RowKey,
        record: &'a Record<'a>,
        stage: &dyn AnyStage,
        stamp: Stamp,
    ) -> Option<usize> {
        let mut slot = Slot::new(key, Some(record), Step::Insert);
        slot.trace_parent = record.trace_parent.as_ref();
        match &record.content {
            Content::Malformed(malformed) => {
                // Without a report the record is only logged.
                let report = NewRow::malformed_report(record, malformed, stamp)?;
                slot.decided = Some(Arc::new(report));
            }
            Content::Event(event) if stage.name().spec().publishes.is_some() && !fits(event) => {
                slot.decide(NewRow::too_large(event, record.position, stamp));
            }
            Content::Event(_) if stage.acts_outside() || !stage.needs().is_empty() => {
                slot.step = Step::LookUp;
            }
            Content::Event(_) | Content::Ignored => slot.step = Step::Decide,
        }
        self.slots.push(slot);
        Some(self.slots.len() - 1)
    }

    /// The requests that can be made now.
    pub(crate) fn next_requests(&mut self, now: Instant) -> Vec<Request<'a>> {
        groups::next_requests(self, now)
    }

    /// When to look again: at the end of a pause or at the deadline. `None` once every key has its
    /// row.
    pub(crate) fn next_wake(&self, now: Instant, until: Instant) -> Option<Instant> {
        let mut open = self.slots.iter().filter(|slot| slot.is_open()).peekable();
        open.peek()?;
        let pauses = open.filter_map(|slot| slot.not_before.filter(|it| *it > now));
        Some(pauses.min().unwrap_or(until).min(until))
    }

    /// Takes the result of a request.
    pub(crate) fn apply(&mut self, done: Done) {
        match done {
            Done::LookedUp(slots, Ok(mut found)) => {
                for index in slots {
                    self.looked_up(index, &mut found);
                }
            }
            Done::LookedUp(slots, Err(error)) => self.failed(&slots, &error),
            Done::Decided(index, Ok(decision)) => self.decided(index, decision),
            Done::Decided(index, Err(error)) => self.failed(&[index], &error),
            Done::Inserted(outcomes) => {
                let size = outcomes.len();
                for (index, inserted) in outcomes {
                    self.inserted(index, inserted, size);
                }
            }
        }
    }

    fn looked_up(&mut self, index: usize, found: &mut HashMap<RowKey, Row>) {
        let needs = self.stage.map_or(&[][..], AnyStage::needs);
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.is_in_flight = false;
        if let Some(row) = found.remove(&slot.key) {
            // The same bytes as ours: the insert succeeded and its response was lost.
            let own = slot.decided.take().filter(|new| new.row.body == row.body);
            let is_new = own.is_some();
            let outcome = Outcome::Redelivered;
            let stored = || Arc::new(NewRow { row, effects: Vec::new(), outcome });
            self.settled(index, own.unwrap_or_else(stored), is_new);
            return;
        }
        let rows = needs
            .iter()
            .filter_map(|stage| found.remove(&RowKey { id: slot.key.id.clone(), stage: *stage }));
        slot.needed = Arc::new(Needed(rows.collect()));
        slot.step = if slot.decided.is_some() { Step::Insert } else { Step::Decide };
    }

    fn decided(&mut self, index: usize, decision: Decision) {
        let (Some(slot), Some(stamp)) = (self.slots.get_mut(index), self.stamp) else { return };
        slot.is_in_flight = false;
        let Some((record, event)) = slot.record.and_then(|it| Some((it, it.event()?))) else {
            return;
        };
        slot.decide(match decision {
            Decision::Accept { fields, effects } => {
                NewRow::accepted(event, &fields, effects, stamp)
            }
            Decision::Reject(reason) => NewRow::rejected(event, record.position, &reason, stamp),
        });
    }

    fn inserted(&mut self, index: usize, inserted: Inserted, group_size: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
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
            Inserted::Failed(error) => {
                self.max_group = self.max_group.min(group_size.div_ceil(2));
                self.failed(&[index], &error);
            }
        }
    }

    fn failed(&mut self, slots: &[usize], error: &TransientError) {
        for index in slots {
            if let Some(slot) = self.slots.get_mut(*index) {
                let pause = backoff(slot.failures);
                tracing::debug!(error = error.chain(), pauseMs = pause.as_millis(), "retrying");
                slot.is_in_flight = false;
                slot.failures += 1;
                slot.not_before = Some(Instant::now() + pause);
                slot.last_error = Some(error.clone());
            }
        }
    }

    /// Publishes the event of a row at once; its delivery is awaited at the end.
    fn settled(&mut self, index: usize, new: Arc<NewRow>, is_new: bool) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let (true, Some(stage), Some(event)) =
            (is_new, self.stage, slot.record.and_then(Record::event))
        {
            stage.on_inserted(event, &new.row);
        }
        let delivery = match &new.row.body {
            RowBody::Event(event) => {
                let publisher = &self.context.publisher;
                Some(publisher.publish(&new.row.key.id, event, slot.trace_parent))
            }
            RowBody::Data(_) => None,
        };
        slot.step = Step::Settled(Settled { new, is_new, delivery });
    }

    /// Awaits every delivery; the result of each record, in the order of the batch.
    pub(crate) async fn delivered(self) -> Vec<Result<Outcome, Error>> {
        let Self { slots, slot_of, records, .. } = self;
        let firsts: Vec<_> = slots.iter().map(|slot| slot.record.map(|it| it.position)).collect();
        let results = join_all(slots.into_iter().map(Slot::delivered)).await;
        let result = |(record, slot): (&Record<'_>, &Option<usize>)| {
            let Some((first, result)) = slot.and_then(|it| firsts.get(it).zip(results.get(it)))
            else {
                return Ok(match &record.content {
                    Content::Malformed(malformed) => {
                        Outcome::Malformed(malformed.event.reason.code)
                    }
                    Content::Event(_) | Content::Ignored => Outcome::Ignored,
                });
            };
            let (new, is_new) = result.as_ref().map_err(Error::clone)?;
            let is_first = *first == Some(record.position);
            let is_same = || record.event().is_none_or(|it| digest_of(it) == new.row.digest);
            Ok(match (is_first && *is_new, is_same) {
                (true, _) => new.outcome,
                (false, is_same) if is_same() => Outcome::Redelivered,
                (false, _) => Outcome::Conflicting,
            })
        };
        records.iter().zip(&slot_of).map(result).collect()
    }

    /// The one row of an intake.
    pub(crate) async fn accepted(self) -> Result<Accepted, Error> {
        let Some(mut slot) = self.slots.into_iter().next() else {
            return Err(BrokenInvariant("an intake without its row".to_owned()).into());
        };
        let delivery = match &mut slot.step {
            Step::Settled(settled) => settled.delivery.take(),
            _ => None,
        };
        let (new, is_new) = slot.delivered().await?;
        let published = published(delivery).await;
        Ok(Accepted { row: new.row.clone(), is_new, published })
    }
}

impl<'a> Slot<'a> {
    fn new(key: RowKey, record: Option<&'a Record<'a>>, step: Step) -> Self {
        Self {
            key,
            record,
            trace_parent: None,
            step,
            is_in_flight: false,
            needed: Arc::default(),
            decided: None,
            is_alone: false,
            failures: 0,
            not_before: None,
            last_error: None,
        }
    }

    fn decide(&mut self, decided: Result<NewRow, BrokenInvariant>) {
        match decided {
            Ok(new) => (self.decided, self.step) = (Some(Arc::new(new)), Step::Insert),
            Err(broken) => self.step = Step::Broken(broken),
        }
    }

    const fn is_open(&self) -> bool {
        !matches!(self.step, Step::Settled(_) | Step::Broken(_))
    }

    async fn delivered(self) -> Result<(Arc<NewRow>, bool), Error> {
        let operation = match self.step {
            Step::Settled(Settled { new, is_new, delivery }) => {
                published(delivery).await?;
                return Ok((new, is_new));
            }
            Step::Broken(broken) => return Err(broken.into()),
            Step::LookUp => "looking up the stored decision",
            Step::Decide => "deciding",
            Step::Insert => "storing the decision",
        };
        Err(TransientError::timed_out(operation, self.last_error).into())
    }
}

async fn published(delivery: Option<Result<Delivery, ProduceError>>) -> Result<(), TransientError> {
    let Some(delivery) = delivery else { return Ok(()) };
    let delivered = match delivery {
        Ok(delivery) => delivery.delivered().await,
        Err(error) => Err(error),
    };
    delivered.map_err(|error| TransientError::new("publish the stored event", error))
}
