//! The rows of a batch: a slot for each row key, from the records to their results.

use std::{collections::HashMap, sync::Arc};

use contracts::TraceContext;
use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    Accepted, Context, Row, RowKey,
    error::{Error, PermanentError},
    log::Outcome,
    new_row::{NewRow, Stamp, digest_of, fits},
    record::{Content, Record},
    slot::{Slot, Step, published},
    stage::AnyStage,
};

pub(crate) struct Rows<'a> {
    pub(crate) context: &'a Context,
    pub(crate) stage: Option<&'a dyn AnyStage>,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) records: &'a [Record<'a>],
    pub(crate) slots: Vec<Slot<'a>>,
    /// The slot of each record; `None` if it has no row.
    pub(crate) slot_of: Vec<Option<usize>>,
    /// Set if the event of a row is published after storing it.
    pub(crate) publishes: bool,
    /// The most rows of one insert. Halved if a request fails as a whole, so that one row does not
    /// fail its neighbours for long.
    pub(crate) max_group: usize,
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
            publishes: true,
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

    /// One slot for a row that is already decided.
    pub(crate) fn of_row(context: &'a Context, row: Row, trace: Option<&'a TraceContext>) -> Self {
        let mut slot = Slot::new(row.key.clone(), None, Step::Insert);
        slot.trace = trace;
        let new = NewRow { row, effects: Vec::new(), outcome: Outcome::Accepted };
        slot.decided = Some(Arc::new(new));
        Self {
            context,
            stage: None,
            stamp: None,
            records: &[],
            slots: vec![slot],
            slot_of: Vec::new(),
            publishes: true,
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
        slot.trace = record.trace.as_ref();
        slot.expires_at = record.event().map(|it| self.context.expires_with(it, stamp.now));
        match &record.content {
            Content::Malformed(malformed) => {
                // Without a report the record is only logged.
                let report = NewRow::malformed_report(record, malformed, stamp)?;
                slot.decided = Some(Arc::new(report));
            }
            Content::Event(_) if stage.acts_on_stored_event() => slot.step = Step::LookUp,
            Content::Event(event) if stage.name().spec().publishes.is_some() && !fits(event) => {
                slot.decide(NewRow::too_large(event, record.position, slot.stamp(stamp)));
            }
            Content::Event(_) if stage.acts_outside() || !stage.needs().is_empty() => {
                slot.step = Step::LookUp;
            }
            Content::Event(_) | Content::Ignored => slot.step = Step::Decide,
        }
        self.slots.push(slot);
        Some(self.slots.len() - 1)
    }

    /// The next wake-up: the end of a backoff, or the deadline. `None` once every key has its row.
    pub(crate) fn next_wake(&self, now: Instant, until: Instant) -> Option<Instant> {
        let mut open = self.slots.iter().filter(|slot| slot.is_open()).peekable();
        open.peek()?;
        let pauses = open.filter_map(|slot| slot.not_before.filter(|it| *it > now));
        Some(pauses.min().unwrap_or(until).min(until))
    }

    /// The records with a permanent error, by their place in the batch.
    pub(crate) fn given_up(&self) -> Vec<(usize, PermanentError)> {
        let slots = self.slot_of.iter().enumerate();
        let steps =
            slots.filter_map(|(index, slot)| Some((index, &self.slots.get((*slot)?)?.step)));
        let given_up = steps.filter_map(|(index, step)| match step {
            Step::Permanent(error) => Some((index, error.clone())),
            _ => None,
        });
        given_up.collect()
    }

    /// Awaits every delivery; returns the result of each record, in the order of the batch.
    pub(crate) async fn delivered(self) -> Vec<Result<Outcome, Error>> {
        let Self { slots, slot_of, records, .. } = self;
        let results = join_all(slots.into_iter().map(async |mut slot| {
            let first = slot.record.map(|it| it.position);
            let unverified = std::mem::take(&mut slot.unverified);
            (first, unverified, slot.delivered().await)
        }));
        let results = results.await;
        let result = |(record, slot): (&Record<'_>, &Option<usize>)| {
            let Some((first, unverified, result)) = slot.and_then(|it| results.get(it)) else {
                return Ok(match &record.content {
                    Content::Malformed(malformed) => {
                        Outcome::Malformed(malformed.event.reason.code)
                    }
                    Content::Event(_) | Content::Ignored => Outcome::Ignored,
                });
            };
            let is_unverified =
                record.event().is_some_and(|it| unverified.contains(&it.event_type));
            let stored = result.as_ref().map_err(Error::clone)?.as_ref();
            let Some((new, is_new)) = stored.filter(|_| !is_unverified) else {
                return Ok(Outcome::Unverified);
            };
            let is_first = *first == Some(record.position);
            let is_same = || record.event().is_none_or(|it| digest_of(it) == new.row.digest);
            Ok(match (is_first && *is_new, is_same) {
                (true, _) => new.outcome,
                _ if new.row.is_early() => Outcome::EndedEarly(new.row.rejection_code()),
                (false, is_same) if is_same() => Outcome::Redelivered,
                (false, _) => Outcome::Conflicting,
            })
        };
        records.iter().zip(&slot_of).map(result).collect()
    }

    /// The one row of an intake.
    pub(crate) async fn accepted(self) -> Result<Accepted, Error> {
        let Some(mut slot) = self.slots.into_iter().next() else {
            return Err(PermanentError::new("intake: no slot".to_owned()).into());
        };
        let delivery = match &mut slot.step {
            Step::Settled(settled) => settled.delivery.take(),
            _ => None,
        };
        let Some((new, is_new)) = slot.delivered().await? else {
            return Err(PermanentError::new("intake: no row was stored".to_owned()).into());
        };
        let published = published(delivery).await;
        Ok(Accepted { row: new.row.clone(), is_new, published })
    }
}
