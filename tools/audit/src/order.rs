//! The rows of one order, read together.

use contracts::{Envelope, EventType, StageName, StoredEvent, happy_path};
use engine::{
    Digest, Row,
    row::{Item, attribute},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{table_error::TableError, tables::Tables};

/// The orders that are read consistently at a time.
const CONCURRENCY: usize = 32;
/// Rows of one order may expire this long after its first ones: the time from intake to reservation.
const EXPIRY_SPREAD: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The rows of one order, or of the report of a malformed record.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) rows: Vec<Row>,
    /// The names of the rows that cannot be read, and why.
    pub(crate) unreadable: Vec<(String, String)>,
    pub(crate) is_expiring: bool,
    /// The customer's data was erased, so neither payloads nor records can be compared.
    pub(crate) is_erased: bool,
}

impl Order {
    /// `now` is the time of the audit.
    pub(crate) fn of(id: String, items: &[Item], now: Timestamp) -> Self {
        let (mut rows, mut unreadable): (Vec<Row>, _) = (Vec::new(), Vec::new());
        for item in items {
            match Row::from_item(item) {
                (_, Ok(row)) => rows.push(row),
                (_, Err(error)) => unreadable.push((stage_of(item), error.to_string())),
            }
        }
        // DynamoDB removes the rows of an order one by one, some time after they expire.
        let lacks_intake = !rows.iter().any(|row| row.key.stage == StageName::OrderApi);
        let ends = now + if lacks_intake { EXPIRY_SPREAD } else { SignedDuration::ZERO };
        let is_expiring = rows.iter().any(|row| {
            row.is_expired(now.as_second()) || lacks_intake && row.is_expired(ends.as_second())
        });
        rows.sort_by_key(|row| row.key.stage);
        let erased = Digest::erased();
        let is_erased = rows.iter().any(|row| row.digest == erased);
        Self { id, rows, unreadable, is_expiring, is_erased }
    }

    /// Reads orders consistently.
    pub(crate) async fn read_all(
        tables: &Tables,
        now: Timestamp,
        ids: impl Iterator<Item = String>,
    ) -> Result<Vec<Self>, TableError> {
        let read = stream::iter(ids).map(|id| async move {
            let items = tables.rows_of(&id).await?;
            Ok(Self::of(id, &items, now))
        });
        read.buffer_unordered(CONCURRENCY).try_collect().await
    }

    pub(crate) fn row(&self, stage: StageName) -> Option<&Row> {
        self.rows.iter().find(|row| row.key.stage == stage)
    }

    /// Has a row of this stage, readable or not.
    pub(crate) fn has(&self, stage: StageName) -> bool {
        self.row(stage).is_some() || self.unreadable.iter().any(|(name, _)| name == stage.name())
    }

    pub(crate) fn event(&self, stage: StageName) -> Option<&StoredEvent> {
        self.row(stage)?.event().filter(|event| !event.is_malformed_report)
    }

    /// The event of a stage, if it has this type.
    pub(crate) fn event_of(&self, event_type: EventType) -> Option<&StoredEvent> {
        self.event(event_type.published_by()).filter(|event| event.event_type == event_type)
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.event_of(EventType::InventoryReserved).is_some()
    }

    /// The events that the order has published, or is about to. An early rejection has its turn
    /// after the reservation.
    pub(crate) fn published(&self) -> impl Iterator<Item = &StoredEvent> {
        let has_turn = |stage: &StageName| {
            *stage != StageName::Payment
                || self.is_reserved()
                || !self.row(StageName::Payment).is_some_and(Row::is_early)
        };
        let stages = happy_path().map(|spec| spec.name).filter(has_turn);
        stages.filter_map(|stage| self.event(stage))
    }

    /// The events that no row shows as consumed: the last one, unless the order is closed, and the
    /// one before an early rejection.
    pub(crate) fn pending(&self) -> Vec<EventType> {
        let is_early = |event: &&StoredEvent| self.row(event.stage()).is_some_and(Row::is_early);
        let mut published: Vec<_> = self.published().collect();
        let decided = published.iter().rposition(|event| !is_early(event)).unwrap_or_default();
        if self.has(StageName::Close) {
            published.pop();
        }
        published.iter().skip(decided).map(|event| event.event_type).collect()
    }

    /// The events that end the order; more than one is damage.
    pub(crate) fn ends(&self) -> Vec<&StoredEvent> {
        self.published().filter(|event| event.event_type.is_terminal()).collect()
    }

    /// The reservation must be released.
    pub(crate) fn must_release(&self) -> bool {
        self.is_reserved() && self.event_of(EventType::OrderPaymentFailed).is_some()
    }

    /// Nothing of the order will change any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.has(StageName::Close) && (!self.must_release() || self.has(StageName::Release))
    }
}

/// Decodes a stored event, which was decoded before.
pub(crate) fn envelope(event: &StoredEvent) -> Option<Envelope<'_>> {
    Envelope::decode(event.body.as_bytes()).ok()
}

fn stage_of(item: &Item) -> String {
    item.get(attribute::STAGE).and_then(|stage| stage.as_s().ok()).cloned().unwrap_or_default()
}
