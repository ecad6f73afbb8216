//! The payments and refunds at Stripe, compared with the rows of the payment stage.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use contracts::{EventType, StageName, StoredEvent, order::total_amount, parse_rfc3339};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    finding::{Finding, Kind},
    order::{Order, envelope},
    stripe::{Api, PaymentIntent, Refund, StripeError},
    sums::is_of_wallet,
};

/// A payment is listed some time after it was made.
const LISTED_AFTER: SignedDuration = SignedDuration::from_mins(3);
/// Between the clocks of Stripe and of the functions.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// The payments of orders at Stripe.
#[derive(Debug)]
pub(crate) struct Payments {
    by_order: HashMap<String, (Vec<PaymentIntent>, AtomicBool)>,
    since: Timestamp,
    until: Timestamp,
}

impl Payments {
    /// Lists the payments since a time. Those without our metadata are others'.
    pub(crate) async fn list(
        api: &Api,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Self, StripeError> {
        let refunds: Vec<Refund> = api.list("refunds", since).await?;
        let mut refunded: HashMap<String, u64> = HashMap::new();
        for refund in refunds {
            let is_made = !matches!(refund.status.as_deref(), Some("failed" | "canceled"));
            if let Some(payment) = refund.payment_intent.filter(|_| is_made) {
                let sum = refunded.entry(payment).or_default();
                *sum = sum.saturating_add(refund.amount);
            }
        }
        let mut by_order: HashMap<String, (Vec<PaymentIntent>, AtomicBool)> = HashMap::new();
        for mut payment in api.list::<PaymentIntent>("payment_intents", since).await? {
            let Some(order_id) = payment.metadata.order_id.take() else { continue };
            payment.refunded = refunded.get(&payment.id).copied().unwrap_or_default();
            by_order.entry(order_id).or_default().0.push(payment);
        }
        Ok(Self { by_order, since, until: now })
    }

    pub(crate) fn count(&self) -> usize {
        self.by_order.values().map(|(payments, _)| payments.len()).sum()
    }

    /// The orders with a payment of which no row was checked.
    pub(crate) fn unchecked(&self) -> impl Iterator<Item = &String> {
        let unchecked =
            self.by_order.iter().filter(|(_, (_, checked))| !checked.load(Ordering::Relaxed));
        unchecked.map(|(order_id, _)| order_id)
    }

    /// Compares the payments of an order with its payment row. One that is younger than `open_for`
    /// may be under way.
    pub(crate) fn check(&self, order: &Order, open_for: SignedDuration) -> Vec<Finding> {
        let payments = match self.by_order.get(&order.id) {
            Some((payments, checked)) => {
                checked.store(true, Ordering::Relaxed);
                payments.as_slice()
            }
            None => &[],
        };
        let finding =
            |kind, expected: String, found: String| Finding::new(kind, &order.id, expected, found);
        let is_late = |payment: &&PaymentIntent| {
            let age = self.until.as_second().saturating_sub(payment.created);
            SignedDuration::from_secs(age) >= open_for
        };
        let kept: Vec<_> = payments.iter().filter(|it| it.is_kept()).filter(is_late).collect();
        let ids = || kept.iter().map(|it| it.id.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(paid) = order.event_of(EventType::PaymentCompleted) {
            return self.of_paid(order, paid, payments);
        }
        if kept.is_empty() {
            return Vec::new();
        }
        match order.event(StageName::Payment) {
            Some(failed) => {
                let expected = format!("a refund, because of {}", failed.event_type);
                vec![finding(Kind::PaymentNotRefunded, expected, format!("payment {}", ids()))]
            }
            None => {
                let expected = "a row of payment".to_owned();
                vec![finding(Kind::PaymentWithoutRow, expected, format!("payment {}", ids()))]
            }
        }
    }

    fn of_paid(
        &self,
        order: &Order,
        paid: &StoredEvent,
        payments: &[PaymentIntent],
    ) -> Vec<Finding> {
        let finding = |kind, expected: String, found: String| {
            vec![Finding::new(kind, &order.id, expected, found)]
        };
        let Some(event) = envelope(paid) else { return Vec::new() };
        let id = event.payload.string("paymentId").unwrap_or_default();
        let others: Vec<_> = payments.iter().filter(|it| it.is_kept() && it.id != id).collect();
        if !others.is_empty() {
            let ids: Vec<_> = others.iter().map(|it| it.id.as_str()).collect();
            let expected = format!("one payment, {id}");
            return finding(Kind::PaymentTwice, expected, format!("also {}", ids.join(", ")));
        }
        if is_of_wallet(&id, &order.id) {
            return Vec::new();
        }
        let Some(payment) = payments.iter().find(|it| it.id == id && it.status == "succeeded")
        else {
            let listed = parse_rfc3339(&paid.timestamp)
                .is_some_and(|at| at > self.since + CLOCK_SKEW && at < self.until - LISTED_AFTER);
            let found = "no such payment that succeeded".to_owned();
            let expected = format!("payment {id}");
            return match listed {
                true => finding(Kind::RowWithoutPayment, expected, found),
                false => Vec::new(),
            };
        };
        let amount = total_amount(&event.payload).map(|it| it.decimal()).unwrap_or_default();
        if is_amount(payment.amount, amount) {
            return Vec::new();
        }
        let found = format!("payment {id} of {} minor units", payment.amount);
        finding(Kind::PaymentAmount, format!("totalAmount {amount}"), found)
    }
}

/// True for an amount in minor units; currencies have none, two or three decimals at Stripe.
fn is_amount(units: u64, amount: Decimal) -> bool {
    [1_u64, 100, 1_000].into_iter().any(|factor| {
        let in_units = amount.checked_mul(Decimal::from(factor)).filter(Decimal::is_integer);
        in_units.and_then(|it| it.to_u64()) == Some(units)
    })
}
