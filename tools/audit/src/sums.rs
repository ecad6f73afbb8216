//! The stock that orders hold, and the money that they took from accounts, by the day on which the
//! rows expire.

use std::collections::{BTreeMap, HashMap};

use contracts::{
    EventType, StageName,
    order::{customer_id, items, quantity_by_sku, total_amount},
};
use rust_decimal::Decimal;

use crate::order::{Order, envelope};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// Amounts by SKU or customer, and by the day on which they expire, counted since 1970.
pub(crate) type ByDay = HashMap<String, BTreeMap<i64, Decimal>>;

/// Rows that expire today, or have expired, do not count: a saved opening knows whole days.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) held: ByDay,
    pub(crate) charged: ByDay,
    pub(crate) today: i64,
    /// Also sum the charges, which takes memory for each customer.
    pub(crate) with_charges: bool,
}

/// The day of a time in seconds since 1970.
pub(crate) const fn day_of(seconds: i64) -> i64 {
    seconds.div_euclid(SECONDS_PER_DAY)
}

impl Sums {
    pub(crate) fn new(now_seconds: i64, with_charges: bool) -> Self {
        let today = day_of(now_seconds);
        Self { today, with_charges, ..Self::default() }
    }

    /// Adds what an order holds and has paid.
    pub(crate) fn add(&mut self, order: &Order) {
        if !order.has(StageName::Release)
            && let Some((day, event)) = self.counted(order, EventType::InventoryReserved)
            && let Some(event) = envelope(event)
            && let Ok(items) = items(&event.payload)
        {
            for (sku, quantity) in quantity_by_sku(&items) {
                add(&mut self.held, sku, day, Decimal::from(quantity));
            }
        }
        if self.with_charges
            && let Some((day, event)) = self.counted(order, EventType::PaymentCompleted)
            && let Some(event) = envelope(event)
            && event.payload.string("paymentId").is_some_and(|id| is_of_wallet(&id, &order.id))
            && let (Ok(customer), Ok(amount)) =
                (customer_id(&event.payload), total_amount(&event.payload))
        {
            add(&mut self.charged, &customer, day, amount.decimal());
        }
    }

    fn counted<'o>(
        &self,
        order: &'o Order,
        event_type: EventType,
    ) -> Option<(i64, &'o contracts::StoredEvent)> {
        let event = order.event_of(event_type)?;
        let day = day_of(order.row(event_type.published_by())?.expires_at);
        (day > self.today).then_some((day, event))
    }

    /// Adds the sums of another segment.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (to, from) in [(&mut self.held, &other.held), (&mut self.charged, &other.charged)] {
            for (key, days) in from {
                for (day, amount) in days {
                    add(to, key, *day, *amount);
                }
            }
        }
    }
}

/// The payment of an account has an id made of the order's, that of a provider has its own.
pub(crate) fn is_of_wallet(payment_id: &str, order_id: &str) -> bool {
    payment_id.strip_prefix("pay-") == Some(order_id)
}

fn add(sums: &mut ByDay, key: &str, day: i64, amount: Decimal) {
    // Keys repeat: most orders find theirs.
    if !sums.contains_key(key) {
        sums.insert(key.to_owned(), BTreeMap::new());
    }
    if let Some(days) = sums.get_mut(key) {
        let sum = days.entry(day).or_default();
        *sum = sum.saturating_add(amount);
    }
}

/// The sum of the days after this one.
pub(crate) fn after(days: Option<&BTreeMap<i64, Decimal>>, day: i64) -> Decimal {
    let days = days.into_iter().flat_map(|days| days.range(day.saturating_add(1)..));
    days.map(|(_, amount)| *amount).sum()
}
