//! Works through one batch: read, decide, store once, publish, answer.
//!
//! Records of one order are handled one after the other, different orders side by side. Whatever
//! was stored is published, and only what is published counts as done.

use std::time::Duration;

use contracts::Envelope;
use tokio::time::Instant;

use crate::{
    Clients, Decision, Publication, Put, Retry, Stage,
    decision::AnyStage,
    incoming::{self, Content, Incoming, UnknownTopic},
    mapping::{BatchResponse, KafkaEvent},
    new_row::{self, Decided, Stamp},
    outcome::{self, Outcome},
    publisher::DELIVERY_TIMEOUT,
    retry::retry_until,
    row, schedule,
};

/// What remains for answering once the last event is delivered.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// Runs the stages of one function.
pub struct Engine {
    stages: Vec<Box<dyn AnyStage>>,
    clients: Clients,
}

/// A batch that the mapping has to deliver again as a whole.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The mapping fires the wrong function.
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// Records failed, and the mapping would take their list for success.
    #[error(
        "{0} of the records failed, and the mapping does not read partial responses: \
         the whole batch has to be delivered again"
    )]
    NotReportable(usize),
}

/// What a record came to: nothing to publish, an event to publish, or trouble.
type Handled = Result<Option<Publication>, Retry>;

impl Engine {
    /// An engine without stages.
    #[must_use]
    pub fn new(clients: Clients) -> Self {
        Self { stages: Vec::new(), clients }
    }

    /// The engine with one more stage.
    #[must_use]
    pub fn with(mut self, stage: impl Stage) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Connects to whatever the stages need, so that the first batch does not wait for it.
    pub async fn warm_up(&self) {
        let topics = self.stages.iter().flat_map(|stage| stage.publishes().topics());
        self.clients.warm_up(&topics.collect::<Vec<_>>()).await;
    }

    /// Works through a batch and says which of its records are to be delivered again.
    ///
    /// `deadline` is when the process may be stopped.
    ///
    /// # Errors
    /// When the whole batch has to be delivered again.
    pub async fn handle(
        &self,
        event: &KafkaEvent,
        deadline: Instant,
    ) -> Result<BatchResponse, BatchError> {
        let batch = incoming::read(event, &self.stages)?;
        let until = decide_until(Instant::now(), deadline);
        let decide = |incoming| retry_until(until, move || self.decide(incoming));
        let handled = schedule::order_by_order(&batch, decide).await;
        let results = self.publish_all(handled).await;
        let mut answer = Vec::with_capacity(batch.len());
        for (incoming, result) in batch.iter().zip(results) {
            if let Err(trouble) = &result {
                outcome::log_trouble(incoming, trouble, (self.clients.clock)());
            }
            answer.push((incoming.identifier.clone(), result.is_err()));
        }
        let response = BatchResponse::from_results(answer);
        if !response.is_success() && !self.clients.reports_batch_item_failures {
            return Err(BatchError::NotReportable(response.batch_item_failures.len()));
        }
        Ok(response)
    }

    async fn decide(&self, incoming: &Incoming<'_>) -> Handled {
        match &incoming.content {
            Content::PassedBy => {
                self.log(incoming, None, Outcome::Ignored);
                Ok(None)
            }
            Content::Poison(poison) => match new_row::reported(incoming, poison, self.stamp())? {
                Some(report) => self.store_once(incoming, None, report).await,
                None => {
                    self.log(incoming, None, Outcome::Poison(poison.malformed.reason.code));
                    Ok(None)
                }
            },
            Content::Event(event) => {
                let decision = incoming.stage.decide(event).await?;
                let decided = new_row::decided(incoming, event, decision, self.stamp())?;
                self.store_once(incoming, Some(event), decided).await
            }
        }
    }

    /// Puts the row if there is none, and hands on the event of whichever row is there then.
    async fn store_once(
        &self,
        incoming: &Incoming<'_>,
        event: Option<&Envelope>,
        decided: Decided,
    ) -> Handled {
        let mut decided = decided;
        let mut put = self.clients.store.put_once(&decided.row, &decided.effects).await?;
        if let (Put::Refused(reasons), Some(event)) = (&put, event) {
            let reason = contracts::FailureReason::merge(reasons.iter().cloned())
                .ok_or_else(|| Retry::out_of_time("learning what was refused"))?;
            decided = new_row::decided(incoming, event, Decision::Reject(reason), self.stamp())?;
            put = self.clients.store.put_once(&decided.row, &decided.effects).await?;
        }
        let (row, came_to) = match put {
            Put::Stored => {
                if let Some(event) = event {
                    incoming.stage.stored(event, &decided.row);
                }
                (decided.row, decided.outcome)
            }
            Put::AlreadyStored(stored) if stored.digest == decided.row.digest => {
                (*stored, Outcome::Redelivered)
            }
            Put::AlreadyStored(stored) => (*stored, Outcome::Conflicting),
            Put::Refused(_) => {
                return Err(Retry::out_of_time("storing a row that nothing can refuse"));
            }
        };
        self.log(incoming, event, came_to);
        Ok(match row.content {
            row::Content::Event(event) => {
                Some(Publication { event, traceparent: incoming.traceparent.clone() })
            }
            row::Content::Result(_) => None,
        })
    }

    /// Publishes what was decided; the results stand in the order of the batch.
    async fn publish_all(&self, handled: Vec<Handled>) -> Vec<Result<(), Retry>> {
        let mut results = Vec::with_capacity(handled.len());
        let (mut publications, mut places) = (Vec::new(), Vec::new());
        for (place, handled) in handled.into_iter().enumerate() {
            match handled {
                Ok(Some(publication)) => {
                    publications.push(publication);
                    places.push(place);
                    results.push(Ok(()));
                }
                Ok(None) => results.push(Ok(())),
                Err(trouble) => results.push(Err(trouble)),
            }
        }
        let published = self.clients.publisher.publish(&publications).await;
        for (place, result) in places.into_iter().zip(published) {
            if let Some(slot) = results.get_mut(place) {
                *slot = result;
            }
        }
        results
    }

    fn log(&self, incoming: &Incoming<'_>, event: Option<&Envelope>, outcome: Outcome) {
        outcome::log(incoming, event, outcome, (self.clients.clock)());
    }

    fn stamp(&self) -> Stamp {
        let now = (self.clients.clock)();
        let expires_at = now.as_second().saturating_add(self.clients.row_ttl.as_secs());
        Stamp { now, expires_at }
    }
}

/// Until when to decide, so that what was decided can still be published and answered for; at the
/// least half of the time that is left.
fn decide_until(now: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    now + left.saturating_sub(DELIVERY_TIMEOUT + ANSWER_MARGIN).max(left / 2)
}
