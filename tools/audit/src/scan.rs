//! The scan of the orders table: each order is checked as soon as its rows are read, and dropped
//! unless it looks wrong or is under way.

use contracts::{StageName, StoredEvent};
use engine::row::Item;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use crate::{
    check::{Checked, check},
    finding::{Finding, Kind},
    order::Order,
    payments::Payments,
    sums::Sums,
    table_error::TableError,
    tables::{Tables, id_of},
    topics::TopicEvents,
};

/// Orders that were accepted this long before the audit, or later, may change while it reads.
const RECENT: SignedDuration = SignedDuration::from_secs(60);

/// What the rows are compared with.
pub(crate) struct Rules {
    pub(crate) started: Timestamp,
    pub(crate) open_for: SignedDuration,
    pub(crate) events: Option<TopicEvents>,
    pub(crate) payments: Option<Payments>,
}

/// What a scan keeps: some bytes for each order that is not settled or looks wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) orders: u64,
    pub(crate) reports: u64,
    /// The orders that look wrong, or open for too long.
    pub(crate) suspects: Vec<String>,
    /// The orders whose stock and money may still move.
    pub(crate) unsettled: Vec<String>,
    /// Of the settled orders.
    pub(crate) sums: Sums,
}

impl Rules {
    /// Orders since then are found by the index.
    pub(crate) fn recent(&self) -> Timestamp {
        self.started - RECENT
    }

    /// Scans the whole table.
    pub(crate) async fn scan(
        &self,
        tables: &Tables,
        with_charges: bool,
    ) -> Result<Tally, TableError> {
        let sums = || Sums::new(self.started.as_second(), with_charges);
        let segments = (0..tables.segments).map(|segment| async move {
            let mut tally = Tally { sums: sums(), ..Tally::default() };
            let mut pending: Vec<Item> = Vec::new();
            // A segment has all rows of an order, one after the other.
            tables
                .scan_segment(segment, |page| {
                    for item in page {
                        if pending.first().is_some_and(|first| id_of(first) != id_of(&item)) {
                            self.look(&mut tally, &std::mem::take(&mut pending));
                        }
                        pending.push(item);
                    }
                })
                .await?;
            self.look(&mut tally, &pending);
            Ok::<_, TableError>(tally)
        });
        let mut sum = Tally { sums: sums(), ..Tally::default() };
        for tally in try_join_all(segments).await? {
            sum.orders = sum.orders.saturating_add(tally.orders);
            sum.reports = sum.reports.saturating_add(tally.reports);
            sum.suspects.extend(tally.suspects);
            sum.unsettled.extend(tally.unsettled);
            sum.sums.merge(&tally.sums);
        }
        Ok(sum)
    }

    fn look(&self, tally: &mut Tally, items: &[Item]) {
        let Some(first) = items.first() else { return };
        let order = Order::of(id_of(first).to_owned(), items, self.started);
        let (checked, is_published) = (self.check(&order), self.unpublished(&order).is_none());
        let is_wrong = !checked.findings.is_empty() || checked.open.is_some() || !is_published;
        if is_wrong {
            tally.suspects.push(order.id.clone());
        }
        let Some(intake) = order.row(StageName::OrderApi) else {
            // The report of a malformed record, or an order that has its intake row no more.
            tally.reports = tally.reports.saturating_add(1);
            Self::sort(tally, &order, is_wrong);
            return;
        };
        tally.orders = tally.orders.saturating_add(1);
        let accepted_at = intake.event().map(|event| event.timestamp.as_str());
        let is_recent = accepted_at.is_none_or(|at| at >= format!("{:.3}", self.recent()).as_str());
        Self::sort(tally, &order, is_recent || is_wrong);
    }

    /// Sums what an order holds and has paid, now if it is settled, else later.
    fn sort(tally: &mut Tally, order: &Order, may_change: bool) {
        let has_effects = order.has(StageName::Inventory) || order.has(StageName::Payment);
        if order.is_settled() && !may_change {
            tally.sums.add(order);
        } else if has_effects || order.row(StageName::OrderApi).is_some() {
            tally.unsettled.push(order.id.clone());
        }
    }

    /// What is wrong with the rows of an order, and with its payments.
    pub(crate) fn check(&self, order: &Order) -> Checked {
        let mut checked = check(order, self.started, self.open_for);
        if let Some(payments) = self.payments.as_ref().filter(|_| !order.is_expiring) {
            checked.findings.extend(payments.check(order, self.open_for));
        }
        checked
    }

    /// The finding about events that must be on their topics by now and are not.
    pub(crate) fn unpublished(&self, order: &Order) -> Option<Finding> {
        let events = self.events.as_ref()?;
        // Also marks the records of the order as explained, so each event is looked up.
        for report in order.rows.iter().filter_map(|row| row.event()) {
            events.explain(report);
        }
        if order.is_erased {
            return None;
        }
        let lost = order.published().filter(|event| !events.explain(event));
        let lost: Vec<_> = lost.map(|event| event.event_type.name()).collect();
        let expected = format!("{} on the topics", lost.join(", "));
        (!lost.is_empty())
            .then(|| Finding::new(Kind::EventNotPublished, &order.id, expected, "none"))
    }

    /// Like [`Self::unpublished`], without the events of the last moments that no stage has consumed
    /// yet.
    pub(crate) fn lost(&self, order: &Order) -> Option<Finding> {
        let events = self.events.as_ref()?;
        let finding = self.unpublished(order)?;
        let last = order.published().last()?;
        let is_recent = contracts::parse_rfc3339(&last.timestamp)
            .is_some_and(|at| self.started.duration_since(at) < self.open_for);
        let pending = if is_recent { order.pending() } else { Vec::new() };
        let is_lost =
            |event: &StoredEvent| !events.explain(event) && !pending.contains(&event.event_type);
        order.published().any(is_lost).then_some(finding)
    }
}
