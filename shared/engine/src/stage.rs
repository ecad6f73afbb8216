//! The trait of a stage, its decisions, and their effects.

use std::future::Future;

use contracts::{Envelope, FailureReason, Fields, StageName};
use futures::future::BoxFuture;
use rust_decimal::Decimal;

use crate::{Row, error::Error};

/// One stage of the workflow; [`contracts::STAGES`] has the events that it consumes and publishes.
pub trait Stage: Send + Sync + 'static {
    /// The name under which the stage's decision is stored.
    const NAME: StageName;

    /// Stages whose rows the decision needs.
    const NEEDS: &'static [StageName] = &[];

    /// If set, the stage decides on the event in its publisher's row and not on the record, so that
    /// a forged, late or replayed record cannot move money or stock, or end an order. The row
    /// always exists before its event is published; without it nothing is decided.
    const ACTS_ON_STORED_EVENT: bool = false;

    /// `true` if deciding acts outside DynamoDB, so that a look-up must come first.
    fn acts_outside(&self) -> bool {
        false
    }

    /// Decides about an order that has no row of this stage.
    ///
    /// # Errors
    /// A transient error is retried; a permanent one makes the record a dead letter. A business "no"
    /// is a [`Decision`].
    fn decide(
        &self,
        event: &Envelope<'_>,
        needed: &Needed,
    ) -> impl Future<Output = Result<Decision, Error>> + Send;

    /// Undoes what deciding did outside DynamoDB, for an order that the stored row rejects, such as
    /// a cancelled one. Called on every delivery before that row's event is published, so it must
    /// be idempotent. Only for stages that [act outside](Self::acts_outside).
    ///
    /// # Errors
    /// As of [`Self::decide`].
    fn undo(
        &self,
        _event: &Envelope<'_>,
        _row: &Row,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Called once after a new row is stored. Use it for metrics only: a crash before the call
    /// skips it.
    fn on_inserted(&self, _event: &Envelope<'_>, _row: &Row) {}
}

/// A stage's decision about an order.
#[derive(Debug)]
pub enum Decision {
    /// The order continues.
    Accept {
        /// Added to the payload; stored in the row by a stage that publishes nothing.
        fields: Fields,
        /// Committed together with the row, or not at all.
        effects: Vec<Effect>,
    },
    /// The order ends here, for a reason that a person can act on.
    Reject(FailureReason),
    /// The order's rows contradict the event: nothing is stored, nothing published.
    Nothing,
}

impl Decision {
    /// Accepts without fields and effects.
    #[must_use]
    pub fn accept() -> Self {
        Self::Accept { fields: Fields::default(), effects: Vec::new() }
    }
}

/// Numbers to add to one item, while one of its attributes must not fall below zero.
#[derive(Debug, Clone)]
pub struct Effect {
    pub table: String,
    /// The item's key: the name and value of its partition key.
    pub key: (&'static str, String),
    /// `false` for a customer's key, which must not be logged.
    pub is_key_loggable: bool,
    /// The numbers to add, by attribute.
    pub adds: Vec<(&'static str, Decimal)>,
    /// The attribute that must not fall below zero.
    pub floor: &'static str,
    /// The rejection reason, given the value of the floor attribute. `None`: the item does not
    /// exist.
    pub refused: fn(&Self, Option<Decimal>) -> FailureReason,
}

/// An item that effects update: table, key attribute, key.
pub(crate) type ItemKey<'a> = (&'a str, &'static str, &'a str);

impl Effect {
    /// The item that the effect updates.
    pub(crate) fn item(&self) -> ItemKey<'_> {
        (&self.table, self.key.0, &self.key.1)
    }

    /// The item in error texts.
    pub(crate) fn named(&self) -> String {
        let Self { table, key: (attribute, key), is_key_loggable, .. } = self;
        if *is_key_loggable {
            format!("the item of {table} with {attribute} {key:?}")
        } else {
            format!("the item of {table} with the {attribute} of the order")
        }
    }

    /// The amount that the effect takes from the floor attribute; at least zero.
    #[must_use]
    pub fn needs(&self) -> Decimal {
        let added = self.adds.iter().filter(|(name, _)| *name == self.floor).map(|(_, it)| *it);
        (-added.sum::<Decimal>()).max(Decimal::ZERO)
    }
}

/// The rows about an order that a stage [needs](Stage::NEEDS).
#[derive(Debug, Default)]
pub struct Needed(pub(crate) Vec<Row>);

impl Needed {
    /// The row of a stage.
    #[must_use]
    pub fn row(&self, stage: StageName) -> Option<&Row> {
        self.0.iter().find(|row| row.key.stage == stage)
    }
}

/// The object-safe form of [`Stage`], so that a function can have several stages.
pub(crate) trait AnyStage: Send + Sync {
    fn name(&self) -> StageName;
    fn needs(&self) -> &'static [StageName];
    fn acts_on_stored_event(&self) -> bool;
    fn acts_outside(&self) -> bool;
    fn decide<'a>(
        &'a self,
        event: &'a Envelope<'a>,
        needed: &'a Needed,
    ) -> BoxFuture<'a, Result<Decision, Error>>;
    fn undo<'a>(
        &'a self,
        event: &'a Envelope<'a>,
        row: &'a Row,
    ) -> BoxFuture<'a, Result<(), Error>>;
    fn on_inserted(&self, event: &Envelope<'_>, row: &Row);
}

impl<S: Stage> AnyStage for S {
    fn name(&self) -> StageName {
        S::NAME
    }

    fn needs(&self) -> &'static [StageName] {
        S::NEEDS
    }

    fn acts_on_stored_event(&self) -> bool {
        S::ACTS_ON_STORED_EVENT
    }

    fn acts_outside(&self) -> bool {
        Stage::acts_outside(self)
    }

    fn decide<'a>(
        &'a self,
        event: &'a Envelope<'a>,
        needed: &'a Needed,
    ) -> BoxFuture<'a, Result<Decision, Error>> {
        Box::pin(Stage::decide(self, event, needed))
    }

    fn undo<'a>(
        &'a self,
        event: &'a Envelope<'a>,
        row: &'a Row,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Stage::undo(self, event, row))
    }

    fn on_inserted(&self, event: &Envelope<'_>, row: &Row) {
        Stage::on_inserted(self, event, row);
    }
}
