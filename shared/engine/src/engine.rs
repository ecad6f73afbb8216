//! The pipeline of a batch: read, settle (look up, decide, insert, publish), respond.
//!
//! Records with one row key share its decision; rows do not block each other. Every stored event is
//! published, and a record is done only after that. A record with a permanent error becomes a dead
//! letter, so that the next one of its partition is not held up.

use std::{sync::Arc, time::Duration};

use contracts::{Envelope, StageName, StoredEvent, Topic};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use crate::{
    Context, Decision, Needed, Row, Stage, Tracer,
    dead_letter::give_up,
    error::{Error, PermanentError},
    failpoint::{Point, reach},
    groups::next_requests,
    lambda_event::{BatchResponse, KafkaEvent},
    log,
    new_row::Stamp,
    record,
    rows::Rows,
    stage::AnyStage,
    steps::{Done, Request},
};

/// The Kafka client's delivery timeout: longer than a broker's failover, and well below a
/// function's timeout of 60 seconds.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// The time reserved for the response after the last delivery; the Kafka client checks timeouts
/// once a second.
pub const RESPONSE_MARGIN: Duration = Duration::from_secs(3);

/// Runs the stages of one function.
pub struct Engine {
    stages: Vec<Box<dyn AnyStage>>,
    pub(crate) context: Context,
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
}

/// A batch that must be redelivered as a whole.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The mapping triggers the wrong function.
    #[error(
        "no stage of this function consumes topic {0:?}: check the topic of its event-source \
         mapping in template.yaml"
    )]
    UnknownTopic(String),
    /// Records failed, and the mapping would ignore a partial response.
    #[error(
        "{0} records failed and the mapping does not read partial responses: redeliver the batch"
    )]
    NotReportable(usize),
}

impl Engine {
    /// An engine without stages.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { stages: Vec::new(), context, tracer: None }
    }

    /// Adds a stage.
    #[must_use]
    pub fn with(mut self, stage: impl Stage) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Connects to the database and to the brokers that the stages publish to.
    pub async fn warm_up(&self) {
        let stages = self.stages.iter();
        let events = stages.flat_map(|stage| stage.name().spec().published_events());
        self.context.warm_up(&events.map(|event| event.topic()).collect::<Vec<_>>()).await;
    }

    /// Processes a batch and returns the records to redeliver. The process may be stopped at
    /// `deadline`.
    ///
    /// # Errors
    /// If the whole batch must be redelivered.
    pub async fn handle(
        &self,
        event: &KafkaEvent,
        deadline: Instant,
    ) -> Result<BatchResponse, BatchError> {
        let Some((topic, stage)) = self.stage_for(event)? else {
            return Ok(BatchResponse::default());
        };
        let started = (self.context.clock)();
        let values = record::values(event);
        let records = record::read_all(event, &values, topic, stage.name());
        let mut rows = Rows::of_batch(&self.context, stage, &records, self.stamp(stage.name()));
        self.settle(&mut rows, decide_by(Instant::now(), deadline)).await;
        let (publisher, given_up) = (&self.context.publisher, rows.given_up());
        let given_up = give_up(publisher, event, stage.name(), given_up, (self.context.clock)());
        let (mut delivered, not_given_up) = tokio::join!(rows.delivered(), given_up);
        for (index, error) in not_given_up {
            if let Some(result) = delivered.get_mut(index) {
                *result = Err(error.into());
            }
        }
        let ended = (self.context.clock)();
        let mut response = Vec::with_capacity(records.len());
        for (record, result) in records.into_iter().zip(delivered) {
            log::result(stage.name(), &record, &result, ended);
            self.trace(stage.name(), &record, &result, (started, ended));
            response.push((record.identifier, matches!(result, Err(Error::Transient(_)))));
        }
        let response = BatchResponse::from_results(response);
        if !response.is_success() && !self.context.reports_batch_item_failures {
            return Err(BatchError::NotReportable(response.batch_item_failures.len()));
        }
        reach(Point::BeforeResponse);
        Ok(response)
    }

    /// Runs until every key has its row, or until the deadline.
    pub(crate) async fn settle(&self, rows: &mut Rows<'_>, until: Instant) {
        let mut requests = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            for request in next_requests(rows, now) {
                requests.push(self.perform(request));
            }
            let Some(wake) = rows.next_wake(now, until) else { return };
            tokio::select! {
                biased;
                Some(done) = requests.next(), if !requests.is_empty() => {
                    rows.apply(done);
                    // Apply all finished requests first, so that the next ones form larger groups.
                    while let Some(Some(done)) = requests.next().now_or_never() {
                        rows.apply(done);
                    }
                }
                () = sleep_until(wake) => if wake >= until { return },
            }
        }
    }

    async fn perform(&self, request: Request<'_>) -> Done {
        let orders = &self.context.orders;
        match request {
            Request::LookUp(slots, keys) => {
                reach(Point::BeforeLookUp);
                let found = orders.get_all(&keys).await;
                reach(Point::AfterLookUp);
                Done::LookedUp(slots, found)
            }
            Request::Decide(slot, stage, event, stored, needed) => {
                reach(Point::BeforeDecision);
                let decision = decide(stage, event, stored.as_deref(), &needed).await;
                reach(Point::AfterDecision);
                Done::Decided(slot, decision)
            }
            Request::Insert(slots, rows) => {
                let rows: Vec<_> = rows.iter().map(|new| &new.row).collect();
                reach(Point::BeforeInsert);
                let outcomes = orders.insert_all(&rows).await;
                reach(Point::AfterInsert);
                Done::Inserted(slots.into_iter().zip(outcomes).collect())
            }
            Request::Undo(slot, stage, event, stored, new) => {
                reach(Point::BeforeUndo);
                let undone = undo(stage, event, stored.as_deref(), &new.row).await;
                reach(Point::AfterUndo);
                Done::Undone(slot, undone)
            }
            Request::Commit(slots, rows) => {
                let group: Vec<_> = rows.iter().map(AsRef::as_ref).collect();
                reach(Point::BeforeTransaction);
                let outcomes = orders.commit(&group).await;
                reach(Point::AfterTransaction);
                Done::Inserted(slots.into_iter().zip(outcomes).collect())
            }
        }
    }

    /// The topic of a batch and the stage that consumes it; `None` for an empty batch.
    fn stage_for(&self, event: &KafkaEvent) -> Result<Option<(Topic, &dyn AnyStage)>, BatchError> {
        let mut found = None;
        for name in event.topics() {
            let unknown = || BatchError::UnknownTopic(name.to_owned());
            let topic = self.context.publisher.topic(name).ok_or_else(unknown)?;
            let mut stages = self.stages.iter();
            let stage = stages.find(|stage| stage.name().spec().consumes_from(topic));
            let stage = stage.ok_or_else(unknown)?;
            // A mapping reads one topic.
            match found {
                Some((first, _)) if first != topic => return Err(unknown()),
                _ => found = Some((topic, stage.as_ref())),
            }
        }
        Ok(found)
    }

    pub(crate) fn stamp(&self, stage: StageName) -> Stamp {
        let now = (self.context.clock)();
        Stamp { stage, now, expires_at: self.context.expires_at(now) }
    }
}

/// The decision about the stored event, where the stage acts on that, or else about the record's.
async fn decide(
    stage: &dyn AnyStage,
    event: &Envelope<'_>,
    stored: Option<&StoredEvent>,
    needed: &Needed,
) -> Result<Decision, Error> {
    let Some(stored) = stored else { return stage.decide(event, needed).await };
    stage.decide(&decoded(stored)?, needed).await
}

async fn undo(
    stage: &dyn AnyStage,
    event: &Envelope<'_>,
    stored: Option<&StoredEvent>,
    row: &Row,
) -> Result<(), Error> {
    let Some(stored) = stored else { return stage.undo(event, row).await };
    stage.undo(&decoded(stored)?, row).await
}

fn decoded(stored: &StoredEvent) -> Result<Envelope<'_>, Error> {
    Envelope::decode(stored.body.as_bytes()).map_err(|error| {
        let text = format!("the stored event cannot be read ({error}): correct the row");
        PermanentError::new(text).into()
    })
}

/// The deadline for deciding. Leaves time to publish and respond.
fn decide_by(now: Instant, deadline: Instant) -> Instant {
    ahead_of(deadline, now, DELIVERY_TIMEOUT + RESPONSE_MARGIN)
}

/// The deadline, less a margin of at most half the time that is left.
#[must_use]
pub fn ahead_of(deadline: Instant, now: Instant, margin: Duration) -> Instant {
    let left = deadline.saturating_duration_since(now);
    now + left.saturating_sub(margin).max(left / 2)
}
