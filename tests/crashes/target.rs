//! The targets of the matrix: every stage with each of its providers, the refund of a charge, and the
//! work of order-api on requests and schedules.

use contracts::{StageName, Topic};
use engine::failpoint::Point;
use workflow_tests::conformance::subject::{Provider, Subject, subjects};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) subject: Subject,
    pub(crate) trigger: Trigger,
}

/// The trigger of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A batch of records.
    Batch,
    /// A batch of orders that were charged, and cancelled before their row was stored.
    Refund,
    /// `POST /orders`, a request for each order.
    Intake,
    /// `POST /orders/{orderId}/cancel`, a request for each order.
    Cancel,
    /// A schedule, for orders of which nothing but the intake has happened.
    Recovery,
    /// A schedule, for orders that are older than they may be.
    Expiry,
}

impl Trigger {
    /// The events that are published for an order: an early end publishes the reservation again.
    pub(crate) const fn publishes(self) -> usize {
        match self {
            Self::Cancel | Self::Expiry => 2,
            _ => 1,
        }
    }

    /// The work concerns every order of the table that has not ended.
    pub(crate) const fn is_scheduled(self) -> bool {
        matches!(self, Self::Recovery | Self::Expiry)
    }
}

pub(crate) fn targets() -> Vec<Target> {
    let batch = |subject| Target { subject, trigger: Trigger::Batch };
    let on_request = |name, trigger, stage: StageName, topics: [Topic; 2]| Target {
        subject: Subject {
            name,
            function: "order-api",
            stage: stage.name(),
            input: topics[0].name(),
            output: Some(topics[1].name()),
            provider: Provider::None,
            has_account: true,
            reserves: topics[0] == Topic::InventoryReserved,
            charges_wallet: false,
        },
        trigger,
    };
    let created = [Topic::OrderCreated; 2];
    let ended = [Topic::InventoryReserved, Topic::OrderFailed];
    let refund = on_request("refund", Trigger::Refund, StageName::Payment, ended);
    let refund = Subject { function: "payment", provider: Provider::Stripe, ..refund.subject };
    let mut targets: Vec<_> = subjects().into_iter().map(batch).collect();
    targets.extend([
        Target { subject: refund, trigger: Trigger::Refund },
        on_request("intake", Trigger::Intake, StageName::OrderApi, created),
        on_request("cancel", Trigger::Cancel, StageName::Payment, ended),
        on_request("recovery", Trigger::Recovery, StageName::OrderApi, created),
        on_request("expiry", Trigger::Expiry, StageName::Payment, ended),
    ]);
    targets
}

impl Target {
    /// Its row commits with changes of stock or balances.
    pub(crate) fn has_effects(&self) -> bool {
        let Subject { stage, provider, .. } = self.subject;
        let stages = [StageName::Inventory, StageName::Payment, StageName::Release];
        self.trigger == Trigger::Batch
            && provider == Provider::None
            && stages.iter().any(|it| it.name() == stage)
    }

    /// The insert's condition is its look-up, so it looks up a row only where there is one already.
    pub(crate) fn inserts_first(&self) -> bool {
        let stages = [StageName::Validator, StageName::Inventory, StageName::OrderApi];
        matches!(self.trigger, Trigger::Batch | Trigger::Intake)
            && stages.iter().any(|it| it.name() == self.subject.stage)
    }

    /// Why the target never passes a point; `None` for a point that it passes.
    pub(crate) fn why_not(&self, point: Point) -> Option<&'static str> {
        let Target { subject, trigger } = self;
        match (point, trigger) {
            (Point::BeforeDecision | Point::AfterDecision, Trigger::Refund) => {
                Some("its row is stored already, and rejects the order")
            }
            (Point::BeforeDecision | Point::AfterDecision, Trigger::Intake) => {
                Some("every well-formed request is accepted")
            }
            (Point::BeforeDecision | Point::AfterDecision, Trigger::Recovery) => {
                Some("it publishes what is stored")
            }
            (Point::BeforeCall | Point::AfterCall, _) if subject.provider == Provider::None => {
                Some("it calls no provider")
            }
            (
                Point::BeforeInsert
                | Point::AfterInsert
                | Point::BeforeTransaction
                | Point::AfterTransaction,
                Trigger::Refund | Trigger::Recovery,
            ) => Some("it stores no row"),
            (Point::BeforeInsert | Point::AfterInsert, _) if self.has_effects() => {
                Some("its row commits in a transaction with its effects")
            }
            (Point::BeforeTransaction | Point::AfterTransaction, _) if !self.has_effects() => {
                Some("its row has no effects, so it is inserted")
            }
            (Point::BeforeUndo | Point::AfterUndo, trigger) if *trigger != Trigger::Refund => {
                Some("only a charge of a cancelled order is undone")
            }
            (Point::BeforeEnqueue | Point::AfterEnqueue | Point::AfterDelivery, _)
                if subject.output.is_none() =>
            {
                Some("it publishes nothing")
            }
            _ => None,
        }
    }
}
