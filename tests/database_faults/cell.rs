//! One cell of the matrix: a statement of a scenario, and its fault.

use std::{any::Any, fmt, panic::AssertUnwindSafe};

use faults::database_proxy::{Call, Fault, Injected};
use futures::FutureExt;
use workflow_tests::{events::Events, world::World};

use crate::{matrix::cause, scenario::Scenario, statements::statements, subject::Subject};

#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) subject: Subject,
    pub(crate) statement: &'static str,
    pub(crate) fault: Fault,
    pub(crate) target: Target,
}

/// The part of the statement that has the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Row,
    /// The items that a transaction updates beside the row.
    Item,
    Both,
}

/// A cell that has run.
pub(crate) struct Result {
    pub(crate) cell: Cell,
    injected: Injected,
    pub(crate) error: Option<String>,
    has_ended: bool,
}

impl Cell {
    /// The same cell with another order.
    pub(crate) fn again(&self, round: usize) -> Self {
        let name = format!("{}-{round}", self.subject.key.trim_start_matches("key-"));
        Self { subject: Subject::new(&name, self.subject.scenario), ..self.clone() }
    }

    /// Runs the beginning of the scenario with the fault.
    pub(crate) async fn run(self, world: &World, events: &Events) -> Result {
        let prepared = caught(self.subject.scenario.prepare(world, events, &self.subject)).await;
        if let Some(cause) = cause(self.subject.scenario, self.statement) {
            let subject = self.subject.clone();
            world.database.inject(Fault::LoseResponse, 1, move |call| {
                affected(call, cause, &subject, Target::Row)
            });
        }
        let Self { subject, statement, target, .. } = self.clone();
        let injected = world
            .database
            .inject(self.fault, 1, move |call| affected(call, statement, &subject, target));
        let begun = caught(self.subject.scenario.begin(world, events, &self.subject)).await;
        let error = prepared.or(begun);
        let mut result = Result { error, cell: self, injected, has_ended: false };
        // A cell that waits for the payment ends when that goes on.
        if !result.cell.subject.scenario.needs_pause() {
            result.end(world, events).await;
        }
        result
    }
}

impl Result {
    /// Runs the rest of the scenario, once.
    pub(crate) async fn end(&mut self, world: &World, events: &Events) {
        if self.error.is_some() || std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let subject = &self.cell.subject;
        self.error = caught(subject.scenario.end(world, events, subject)).await;
    }

    /// True if its order came through before the fault was injected.
    pub(crate) fn is_missed(&self) -> bool {
        self.error.is_none() && self.injected.times() == 0
    }
}

async fn caught(run: impl Future<Output = ()>) -> Option<String> {
    AssertUnwindSafe(run).catch_unwind().await.err().map(message)
}

fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast_ref::<&str>().map_or_else(String::new, |it| (*it).to_owned()),
    }
}

fn affected(call: &Call, name: &str, subject: &Subject, target: Target) -> Vec<usize> {
    let of_subject = |owner: &str| match subject.scenario {
        // Its owner is its position.
        Scenario::Malformed => owner.contains('#'),
        Scenario::Started => owner == "warm-up",
        _ => owner.is_empty() || owner == subject.order_id || owner == subject.customer,
    };
    let statements = statements(call).into_iter();
    let hit = statements.filter(|it| it.name == name && of_subject(&it.owner));
    hit.flat_map(|it| match target {
        Target::Row => it.rows,
        Target::Item => it.items,
        Target::Both => [it.rows, it.items].concat(),
    })
    .collect()
}

impl fmt::Display for Result {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { subject, statement, fault, target } = &self.cell;
        let (scenario, fault) = (subject.scenario, fault.name());
        write!(formatter, "{scenario:?} / {statement} / {fault}")?;
        if *target != Target::Row {
            write!(formatter, " ({target:?})")?;
        }
        match &self.error {
            None => formatter.write_str(" ... ok"),
            Some(error) => write!(formatter, " ... FAILED: {error}"),
        }
    }
}
