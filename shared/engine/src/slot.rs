//! One row key while a batch is settled: its next step, its decision, its failures.

use std::sync::Arc;

use contracts::{Envelope, EventType, StageName, StoredEvent, TraceContext};
use kafka::{Delivery, ProduceError};
use tokio::time::Instant;

use crate::{
    Needed, RowKey, TransientError,
    error::{Error, PermanentError},
    failpoint::{Point, reach},
    new_row::{NewRow, Stamp},
    record::Record,
    stage::AnyStage,
};

/// One row key.
pub(crate) struct Slot<'a> {
    pub(crate) key: RowKey,
    pub(crate) record: Option<&'a Record<'a>>,
    pub(crate) trace: Option<&'a TraceContext>,
    pub(crate) step: Step,
    pub(crate) is_in_flight: bool,
    pub(crate) needed: Arc<Needed>,
    /// The stored event to act on, where the record is not the same bytes.
    pub(crate) stored: Option<Arc<StoredEvent>>,
    /// The types of the key's events that the order's rows contradict.
    pub(crate) unverified: Vec<EventType>,
    pub(crate) decided: Option<Arc<NewRow>>,
    /// When the row to insert expires, where the publisher's row tells.
    pub(crate) expires_at: Option<i64>,
    /// An expired row blocks the insert; a transaction replaces it.
    pub(crate) replaces_expired: bool,
    pub(crate) is_alone: bool,
    pub(crate) failures: usize,
    pub(crate) not_before: Option<Instant>,
    pub(crate) last_error: Option<TransientError>,
}

/// The next step of a key.
pub(crate) enum Step {
    LookUp,
    Decide,
    Insert,
    /// Undo what was done outside: the order's row rejects it.
    Undo(Arc<NewRow>),
    Settled(Settled),
    /// The order's rows confirm no event of the key: nothing is stored.
    Unverified,
    Permanent(PermanentError),
}

/// A key that has its row.
pub(crate) struct Settled {
    pub(crate) new: Arc<NewRow>,
    pub(crate) is_new: bool,
    pub(crate) delivery: Option<Result<Delivery, ProduceError>>,
}

impl<'a> Slot<'a> {
    pub(crate) fn new(key: RowKey, record: Option<&'a Record<'a>>, step: Step) -> Self {
        Self {
            key,
            record,
            trace: None,
            step,
            is_in_flight: false,
            needed: Arc::default(),
            stored: None,
            unverified: Vec::new(),
            decided: None,
            expires_at: None,
            replaces_expired: false,
            is_alone: false,
            failures: 0,
            not_before: None,
            last_error: None,
        }
    }

    pub(crate) fn decide(&mut self, decided: Result<NewRow, PermanentError>) {
        match decided {
            Ok(new) => (self.decided, self.step) = (Some(Arc::new(new)), Step::Insert),
            Err(error) => self.step = Step::Permanent(error),
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        !matches!(self.step, Step::Settled(_) | Step::Unverified | Step::Permanent(_))
    }

    /// The batch's stamp, with the slot's own expiry.
    pub(crate) fn stamp(&self, stamp: Stamp) -> Stamp {
        Stamp { expires_at: self.expires_at.unwrap_or(stamp.expires_at), ..stamp }
    }

    /// The key of another stage's row about the same order.
    pub(crate) fn key_of(&self, stage: StageName) -> RowKey {
        RowKey { id: self.key.id.clone(), stage }
    }

    /// The stage that has stored the event, where `stage` acts on that.
    pub(crate) fn publisher(&self, stage: &dyn AnyStage) -> Option<StageName> {
        let event = self.record?.event()?;
        stage.acts_on_stored_event().then(|| event.event_type.published_by())
    }

    /// The stages whose rows `stage` looks up beside its own: those that it needs, and those that
    /// confirm its event.
    pub(crate) fn needed_stages(&self, stage: &dyn AnyStage) -> Vec<StageName> {
        let mut stages = stage.needs().to_vec();
        let publisher = self.publisher(stage);
        // A rejection may have been decided early, and then has its turn after this stage's event.
        let is_rejection = |event: &Envelope<'_>| event.event_type.is_failure();
        let is_rejection = self.record.and_then(Record::event).is_some_and(is_rejection);
        let upstream = publisher.filter(|_| is_rejection).and_then(|it| it.spec().upstream());
        stages
            .extend(publisher.into_iter().chain(upstream).filter(|it| !stage.needs().contains(it)));
        stages
    }

    /// Calls `act` with the event to act on: the stored one, or else the record's.
    pub(crate) fn with_event<T>(&self, act: impl FnOnce(&Envelope<'_>) -> T) -> Option<T> {
        match &self.stored {
            Some(stored) => Envelope::decode(stored.body.as_bytes()).ok().map(|it| act(&it)),
            None => Some(act(self.record?.event()?)),
        }
    }

    /// Awaits the delivery: the row and whether it is new; `None` where nothing was stored.
    pub(crate) async fn delivered(self) -> Result<Option<(Arc<NewRow>, bool)>, Error> {
        let operation = match self.step {
            Step::Settled(Settled { new, is_new, delivery }) => {
                published(delivery).await?;
                return Ok(Some((new, is_new)));
            }
            Step::Unverified => return Ok(None),
            Step::Permanent(error) => return Err(error.into()),
            Step::LookUp => "looking up the stored decision",
            Step::Decide => "deciding",
            Step::Insert => "storing the decision",
            Step::Undo(_) => "undoing what was done outside",
        };
        Err(TransientError::timed_out(operation, self.last_error).into())
    }
}

/// Awaits a delivery.
pub(crate) async fn published(
    delivery: Option<Result<Delivery, ProduceError>>,
) -> Result<(), TransientError> {
    let Some(delivery) = delivery else { return Ok(()) };
    let delivered = match delivery {
        Ok(delivery) => delivery.delivered().await,
        Err(error) => Err(error),
    };
    delivered.map_err(|error| TransientError::new("publish the stored event", error))?;
    reach(Point::AfterDelivery);
    Ok(())
}
