//! What a stage is, and what it can say about an order.

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    builders::UpdateBuilder,
};
use contracts::{Envelope, EventType, FailureReason, JsonObject, StageName, Topic};
use futures::future::BoxFuture;

use crate::{Retry, Row};

/// One stage of the workflow: constants, and one decision.
pub trait Stage: Send + Sync + 'static {
    /// The name under which the stage's decision is stored.
    const NAME: StageName;
    /// The events that the stage decides about; other events of their topics pass it by.
    const CONSUMES: &'static [EventType];
    /// What it publishes.
    const PUBLISHES: Publishes;

    /// Decides about the order. Asked once for an order, and again only after trouble.
    ///
    /// # Errors
    /// Trouble that passes. A business "no" is a [`Decision`].
    fn decide(&self, event: &Envelope) -> impl Future<Output = Result<Decision, Retry>> + Send;

    /// Told of a decision that was stored just now, for what is to be counted once; a process that
    /// stops before leaves it uncounted.
    fn stored(&self, _event: &Envelope, _row: &Row) {}
}

/// What a stage publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishes {
    /// One event when it accepts, another when it rejects.
    Either {
        /// The event that sends the order on.
        accepted: EventType,
        /// The event that ends it.
        rejected: EventType,
    },
    /// Nothing; what it accepts is kept in its row.
    Nothing,
}

impl Publishes {
    /// The topics that the events go to.
    pub(crate) fn topics(self) -> impl Iterator<Item = Topic> {
        let events = match self {
            Self::Either { accepted, rejected } => vec![accepted, rejected],
            Self::Nothing => Vec::new(),
        };
        events.into_iter().map(EventType::topic)
    }
}

/// What a stage says about an order.
#[derive(Debug)]
pub enum Decision {
    /// The order goes on.
    Accept(Accept),
    /// The order ends here, for a reason that a person can act on.
    Reject(FailureReason),
}

/// What goes with an order that goes on.
#[derive(Debug, Default)]
pub struct Accept {
    /// Added to the payload; for a stage that publishes nothing, kept in the row.
    pub fields: JsonObject,
    /// Committed together with the row, or not at all.
    pub effects: Vec<Effect>,
}

impl Decision {
    /// The order goes on as it is.
    #[must_use]
    pub fn accept() -> Self {
        Self::Accept(Accept::default())
    }
}

/// A change to one item of a table that must commit with the row.
#[derive(Debug)]
pub struct Effect {
    update: Update,
    pub(crate) refused: Refusal,
}

impl Effect {
    /// A change with the condition under which it may happen, and what it means that it may not.
    ///
    /// # Errors
    /// When the change lacks its table, its key or its expression.
    pub fn new(change: UpdateBuilder, refused: Refusal) -> Result<Self, Retry> {
        let update = change
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Retry::new("describing an effect", error))?;
        Ok(Self { update, refused })
    }

    pub(crate) fn action(&self) -> TransactWriteItem {
        TransactWriteItem::builder().update(self.update.clone()).build()
    }
}

/// Says what a refused condition means, given the item as it was (`None`: there is none).
pub struct Refusal(Box<Meaning>);

type Meaning = dyn Fn(Option<&Item>) -> FailureReason + Send + Sync;

/// An item of a table.
pub type Item = HashMap<String, AttributeValue>;

impl Refusal {
    /// What a refused condition means.
    pub fn new(meaning: impl Fn(Option<&Item>) -> FailureReason + Send + Sync + 'static) -> Self {
        Self(Box::new(meaning))
    }

    /// The reason, given the item as it was.
    #[must_use]
    pub fn reason(&self, item: Option<&Item>) -> FailureReason {
        (self.0)(item)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Refusal")
    }
}

/// A stage whose type is forgotten, so that a function can hold several.
pub(crate) trait AnyStage: Send + Sync {
    fn name(&self) -> StageName;
    fn publishes(&self) -> Publishes;
    fn consumes(&self) -> &'static [EventType];
    fn decide<'a>(&'a self, event: &'a Envelope) -> BoxFuture<'a, Result<Decision, Retry>>;
    fn stored(&self, event: &Envelope, row: &Row);

    /// Whether a topic fires the stage.
    fn is_fired_by(&self, topic: Topic) -> bool {
        self.consumes().iter().any(|event_type| event_type.topic() == topic)
    }
}

impl<S: Stage> AnyStage for S {
    fn name(&self) -> StageName {
        S::NAME
    }

    fn publishes(&self) -> Publishes {
        S::PUBLISHES
    }

    fn consumes(&self) -> &'static [EventType] {
        S::CONSUMES
    }

    fn decide<'a>(&'a self, event: &'a Envelope) -> BoxFuture<'a, Result<Decision, Retry>> {
        Box::pin(Stage::decide(self, event))
    }

    fn stored(&self, event: &Envelope, row: &Row) {
        Stage::stored(self, event, row);
    }
}
