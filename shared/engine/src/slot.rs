//! One row key while a batch is settled: its next step, its decision, its failures.

use std::sync::Arc;

use contracts::TraceContext;
use kafka::{Delivery, ProduceError};
use tokio::time::Instant;

use crate::{
    Needed, RowKey, TransientError,
    error::{BrokenInvariant, Error},
    new_row::NewRow,
    record::Record,
};

/// One row key.
pub(crate) struct Slot<'a> {
    pub(crate) key: RowKey,
    pub(crate) record: Option<&'a Record<'a>>,
    pub(crate) trace: Option<&'a TraceContext>,
    pub(crate) step: Step,
    pub(crate) is_in_flight: bool,
    pub(crate) needed: Arc<Needed>,
    pub(crate) decided: Option<Arc<NewRow>>,
    pub(crate) is_alone: bool,
    pub(crate) failures: usize,
    pub(crate) not_before: Option<Instant>,
    pub(crate) last_error: Option<TransientError>,
}

/// What a key needs next.
pub(crate) enum Step {
    LookUp,
    Decide,
    Insert,
    /// Undo what was done outside: the order's row rejects it.
    Undo(Arc<NewRow>),
    Settled(Settled),
    Broken(BrokenInvariant),
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
            decided: None,
            is_alone: false,
            failures: 0,
            not_before: None,
            last_error: None,
        }
    }

    pub(crate) fn decide(&mut self, decided: Result<NewRow, BrokenInvariant>) {
        match decided {
            Ok(new) => (self.decided, self.step) = (Some(Arc::new(new)), Step::Insert),
            Err(broken) => self.step = Step::Broken(broken),
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        !matches!(self.step, Step::Settled(_) | Step::Broken(_))
    }

    pub(crate) async fn delivered(self) -> Result<(Arc<NewRow>, bool), Error> {
        let operation = match self.step {
            Step::Settled(Settled { new, is_new, delivery }) => {
                published(delivery).await?;
                return Ok((new, is_new));
            }
            Step::Broken(broken) => return Err(broken.into()),
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
    delivered.map_err(|error| TransientError::new("publish the stored event", error))
}
