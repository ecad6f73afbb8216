//! The cells of the matrix: each target at each point, in each shape.

use std::fmt;

use engine::failpoint::Point;
use strum::IntoEnumIterator;
use workflow_tests::conformance::subject::Provider;

use crate::target::{Target, Trigger, targets};

/// Orders of a batch; the process is killed at the third.
const BATCH: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One order.
    Single,
    /// Six orders, and the kill in their middle.
    Batch,
    /// Six orders whose rows are stored by several requests, and the kill between them.
    Group,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) target: Target,
    pub(crate) point: Point,
    pub(crate) shape: Shape,
    /// The passage of the point at which the process is killed, from 1.
    pub(crate) passage: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, point, shape, passage } = self;
        let (point, shape) = (point.to_string(), format!("{shape:?}").to_lowercase());
        let point = point.trim_start_matches("failpoint/");
        write!(formatter, "{} / {point} / {shape}, passage {passage}", target.subject.name)
    }
}

/// Every cell.
pub(crate) fn cells() -> Vec<Cell> {
    let cells = targets().into_iter().flat_map(|target| {
        let points = Point::iter().filter(move |point| target.why_not(*point).is_none());
        points.flat_map(move |point| of_point(target, point))
    });
    cells.collect()
}

fn of_point(target: Target, point: Point) -> Vec<Cell> {
    let cell = |shape, passage| Cell { target, point, shape, passage };
    let is_call = matches!(point, Point::BeforeCall | Point::AfterCall);
    let times = match target.trigger {
        // A refund is three requests: use up the key, find the charge, refund it.
        Trigger::Refund if is_call => 3,
        trigger if is_publish(point) => trigger.publishes(),
        _ => 1,
    };
    let mut cells: Vec<_> = (1..=times).map(|passage| cell(Shape::Single, passage)).collect();
    let third = if is_for_each_order(target.trigger, point) { 3 * times } else { 1 };
    cells.push(cell(Shape::Batch, third));
    // The first insert stores all rows but one, see `Run::set_up`. Transactions with that one are
    // cancelled, and it waits longer and longer, so that the others have long been committed.
    let passage = match point {
        Point::BeforeInsert | Point::AfterInsert => Some(2),
        Point::BeforeTransaction | Point::AfterTransaction => Some(12),
        _ => None,
    };
    let passage = passage.filter(|_| target.trigger == Trigger::Batch);
    cells.extend(passage.map(|passage| cell(Shape::Group, passage)));
    cells
}

const fn is_publish(point: Point) -> bool {
    matches!(point, Point::BeforeEnqueue | Point::AfterEnqueue | Point::AfterDelivery)
}

/// The point is passed once for each order, and not once for all orders of an invocation.
const fn is_for_each_order(trigger: Trigger, point: Point) -> bool {
    match (trigger, point) {
        (Trigger::Intake | Trigger::Cancel, _) => true,
        (_, Point::BeforeLookUp | Point::AfterLookUp | Point::BeforeResponse) => false,
        (Trigger::Recovery | Trigger::Expiry, _) => true,
        (Trigger::Batch | Trigger::Refund, point) => !matches!(
            point,
            Point::BeforeInsert
                | Point::AfterInsert
                | Point::BeforeTransaction
                | Point::AfterTransaction
        ),
    }
}

impl Cell {
    pub(crate) const fn orders(&self) -> usize {
        match self.shape {
            Shape::Single => 1,
            Shape::Batch | Shape::Group => BATCH,
        }
    }

    /// The action of the crate `fail`.
    pub(crate) fn failpoints(&self) -> String {
        let Self { point, passage, .. } = self;
        format!("{point}={}*off->return", passage - 1)
    }

    /// The orders had been delivered once before: otherwise there is nothing to look up.
    pub(crate) fn is_redelivered(&self) -> bool {
        let is_look_up = matches!(self.point, Point::BeforeLookUp | Point::AfterLookUp);
        is_look_up && self.target.inserts_first()
    }

    /// The rows of how many orders the kill finds; `None` where it depends on the moment.
    pub(crate) fn rows_at_kill(&self) -> Option<usize> {
        let is_stored = self.is_redelivered()
            || matches!(self.target.trigger, Trigger::Refund | Trigger::Recovery)
            || matches!(self.point, Point::AfterInsert | Point::AfterTransaction)
            || self.point >= Point::BeforeEnqueue;
        match self.shape {
            Shape::Single => Some(usize::from(is_stored)),
            // Its rows are stored as the provider responds.
            Shape::Group if self.target.subject.provider != Provider::None => None,
            Shape::Group if self.point == Point::AfterInsert => Some(BATCH),
            Shape::Group => Some(BATCH - 1),
            Shape::Batch => None,
        }
    }

    /// The events that the kill of a single order finds; `None` where it depends on the moment.
    pub(crate) fn events_at_kill(&self) -> Option<usize> {
        match self.point {
            _ if self.shape != Shape::Single || self.target.subject.output.is_none() => None,
            Point::AfterEnqueue => None,
            Point::AfterDelivery => Some(self.passage),
            Point::BeforeResponse => Some(self.target.trigger.publishes()),
            point if is_publish(point) => Some(self.passage - 1),
            _ => Some(usize::from(self.is_redelivered())),
        }
    }
}
