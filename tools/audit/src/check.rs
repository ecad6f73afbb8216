//! The rules that the rows of one order must keep, as one pure function.

use contracts::{Object, StageName, StoredEvent, parse_rfc3339};
use engine::RowBody;
use jiff::{SignedDuration, Timestamp};

use crate::{
    finding::{Finding, Kind},
    order::Order,
    sequence,
};

/// An order without an end for longer than the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenOrder {
    pub(crate) id: String,
    pub(crate) age: SignedDuration,
    /// The stage of its last event.
    pub(crate) stage: StageName,
}

/// The result of checking an order.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) findings: Vec<Finding>,
    pub(crate) open: Option<OpenOrder>,
}

/// Checks an order at this time. An order may be open for `open_for`.
pub(crate) fn check(order: &Order, now: Timestamp, open_for: SignedDuration) -> Checked {
    let mut checked = Checked { findings: malformed(order), open: None };
    if !checked.findings.is_empty()
        || order.is_expiring
        || order.rows.is_empty()
        || is_report(order)
    {
        return checked;
    }
    let Some(intake) = order.event(StageName::OrderApi) else {
        let stages: Vec<_> = order.rows.iter().map(|row| row.key.stage.name()).collect();
        let found = format!("rows of {}", stages.join(", "));
        checked.findings.push(Finding::new(
            Kind::OrphanRow,
            &order.id,
            "a row of order-api",
            found,
        ));
        return checked;
    };
    if let Some(finding) = two_ends(order) {
        checked.findings.push(finding);
        return checked;
    }
    checked.findings = order.rows.iter().flat_map(|row| sequence::check(order, row)).collect();
    checked.findings.extend(wrong_end(order));
    let is_late = |event: &StoredEvent| age(event, now) >= open_for;
    match order.ends().first() {
        None if is_late(intake) && !order.has(StageName::Close) => {
            let stage = order.published().last().map_or(StageName::OrderApi, StoredEvent::stage);
            checked.open = Some(OpenOrder { id: order.id.clone(), age: age(intake, now), stage });
        }
        Some(end) if is_late(end) => checked.findings.extend(unfinished(order, end)),
        _ => {}
    }
    checked
}

fn age(event: &StoredEvent, now: Timestamp) -> SignedDuration {
    parse_rfc3339(&event.timestamp).map_or(SignedDuration::MAX, |at| now.duration_since(at))
}

/// The report of a malformed record belongs to no order.
fn is_report(order: &Order) -> bool {
    order.rows.iter().all(|row| row.event().is_some_and(|it| it.is_malformed_report))
}

fn malformed(order: &Order) -> Vec<Finding> {
    let finding = |stage: &str, found: &str| {
        Finding::new(Kind::MalformedRow, &order.id, format!("a readable row of {stage}"), found)
    };
    let unreadable = order.unreadable.iter().map(|(stage, why)| finding(stage, why));
    let foreign = order.rows.iter().filter_map(|row| {
        let stage = row.key.stage;
        // The report of a malformed record is of any stage, and names no order.
        let event = row.event().filter(|event| !event.is_malformed_report)?;
        let found = if event.stage() != stage {
            format!("the event {} of {}", event.event_type, event.stage())
        } else if event.order_id.as_str() != order.id {
            format!("an event of the order {}", event.order_id)
        } else {
            return None;
        };
        Some(finding(stage.name(), &found))
    });
    unreadable.chain(foreign).collect()
}

fn two_ends(order: &Order) -> Option<Finding> {
    let ends: Vec<_> = order.ends().iter().map(|end| end.event_type.name()).collect();
    (ends.len() > 1).then(|| Finding::new(Kind::TwoEnds, &order.id, "one end", ends.join(" and ")))
}

/// The close row must say what the last event says.
fn wrong_end(order: &Order) -> Option<Finding> {
    let end = *order.ends().first()?;
    let RowBody::Data(json) = &order.row(StageName::Close)?.body else { return None };
    let closed = Object::parse(json).ok()?;
    let expected = if end.event_type.is_failure() {
        ("FAILED", Some(end.stage().name()))
    } else {
        ("COMPLETED", None)
    };
    let (status, stage) = (closed.string("status"), closed.string("failedStage"));
    let found = (status.as_deref().unwrap_or("none"), stage.as_deref());
    let text = |(status, stage): (&str, Option<&str>)| match stage {
        Some(stage) => format!("{status} by {stage}"),
        None => status.to_owned(),
    };
    let expected_text = format!("{}, because of {}", text(expected), end.event_type);
    (found != expected).then(|| Finding::new(Kind::WrongEnd, &order.id, expected_text, text(found)))
}

/// An order that has ended, and is not closed or not released.
fn unfinished(order: &Order, end: &StoredEvent) -> Vec<Finding> {
    let since = format!("{} at {}", end.event_type, end.timestamp);
    let finding = |kind, stage: StageName| {
        Finding::new(kind, &order.id, format!("a row of {stage} after {since}"), "none")
    };
    let close = !order.has(StageName::Close);
    let release = order.must_release() && !order.has(StageName::Release);
    [
        close.then(|| finding(Kind::MissingEnd, StageName::Close)),
        release.then(|| finding(Kind::MissingRelease, StageName::Release)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
