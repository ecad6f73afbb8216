//! Generates orders from a seed.
//!
//! An order depends only on the seed and its number, so orders need not be stored.

use std::time::Duration;

use contracts::JsonObject;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::malformed_inputs;
use super::orders::{Kind, MIX, Order, Repeat};
use crate::fixtures::catalogue::{Catalogue, Cents, Supply};

/// Orders per thousand that are posted twice.
const POSTED_TWICE: u32 = 30;
/// Orders per thousand whose `OrderCreated` record is published twice.
const RECORD_TWICE: u32 = 30;

/// Orders per thousand that are cancelled, at a random time.
const CANCELLED: u32 = 40;
/// Maximum time from the response to the cancellation. Most orders are paid by then.
const MAX_CANCELLED_AFTER_MS: u64 = 250;

#[derive(Debug)]
pub(crate) struct Generator<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) seed: u64,
}

struct Line {
    sku: String,
    quantity: u64,
    price: Cents,
}

impl Generator<'_> {
    pub(crate) fn order(&self, number: u64) -> Order {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        let kind = kind(rng.random_range(0..1000));
        if kind == Kind::Malformed {
            let body = malformed_inputs::body(&mut rng).to_owned();
            let empty = Order::new(kind, Repeat::Nothing, &JsonObject::new());
            return Order { body, ..empty };
        }
        let repeat = match rng.random_range(0..1000_u32) {
            draw if draw < POSTED_TWICE => Repeat::Request,
            draw if draw < POSTED_TWICE + RECORD_TWICE => Repeat::Record,
            _ => Repeat::Nothing,
        };
        let mut lines = self.lines(&mut rng);
        let (customer_id, extra) = match kind {
            Kind::Declined => self.poor_customer(&mut rng, number),
            _ => (self.customer(&mut rng, Supply::Plenty).0, Cents::default()),
        };
        match kind {
            Kind::OutOfStock => lines.push(self.too_many(&mut rng)),
            Kind::UnknownSku => lines.push(unlisted(&mut rng)),
            _ => {}
        }
        let mut payload = payload(&customer_id, &lines, extra);
        // Unknown fields must be forwarded unchanged.
        if rng.random_range(0..4_u32) == 0 {
            payload.insert("gift".to_owned(), malformed_inputs::unknown_field());
        }
        if kind == Kind::Invalid {
            malformed_inputs::break_one_rule(&mut payload, &mut rng);
        }
        // Drawn last, so that it does not change the order itself.
        let is_cancelled = rng.random_range(0..1000_u32) < CANCELLED;
        let after = Duration::from_millis(rng.random_range(0..=MAX_CANCELLED_AFTER_MS));
        let cancelled_after = is_cancelled.then_some(after);
        Order { cancelled_after, ..Order::new(kind, repeat, &payload) }
    }

    fn lines(&self, rng: &mut ChaCha8Rng) -> Vec<Line> {
        let articles = self.catalogue.articles.iter();
        let plenty: Vec<_> = articles.filter(|article| article.supply == Supply::Plenty).collect();
        let count = rng.random_range(1..=4_u32);
        // One SKU may be in two lines: their quantities add up.
        let lines = (0..count).filter_map(|_| {
            let article = plenty.choose(rng)?;
            let quantity = rng.random_range(1..=3);
            Some(Line { sku: article.sku.clone(), quantity, price: article.price })
        });
        lines.collect()
    }

    fn customer(&self, rng: &mut ChaCha8Rng, supply: Supply) -> (String, Cents) {
        let customers = self.catalogue.customers.iter();
        let customers: Vec<_> = customers.filter(|customer| customer.supply == supply).collect();
        customers
            .choose(rng)
            .map(|customer| (customer.customer_id.clone(), customer.balance))
            .unwrap_or_default()
    }

    /// A customer without an account, or a limited balance that the order must exceed.
    fn poor_customer(&self, rng: &mut ChaCha8Rng, number: u64) -> (String, Cents) {
        if rng.random_range(0..2_u32) == 0 {
            (format!("nobody-{number}"), Cents::default())
        } else {
            self.customer(rng, Supply::Limited)
        }
    }

    /// More than the stock of a limited article.
    fn too_many(&self, rng: &mut ChaCha8Rng) -> Line {
        let articles = self.catalogue.articles.iter();
        let limited: Vec<_> =
            articles.filter(|article| article.supply == Supply::Limited).collect();
        match limited.choose(rng) {
            Some(article) => Line {
                sku: article.sku.clone(),
                quantity: article.available.saturating_add(rng.random_range(1..=3)),
                price: article.price,
            },
            None => unlisted(rng),
        }
    }
}

fn kind(draw: u32) -> Kind {
    let mut below = 0;
    for (kind, share) in MIX {
        below += share;
        if draw < below {
            return kind;
        }
    }
    Kind::Good
}

fn unlisted(rng: &mut ChaCha8Rng) -> Line {
    let number = rng.random_range(0..1000_u32);
    Line { sku: format!("NOT-SOLD-{number:03}"), quantity: 1, price: Cents(999) }
}

fn payload(customer_id: &str, lines: &[Line], extra: Cents) -> JsonObject {
    let total = lines.iter().fold(extra, |sum, line| sum.plus(line.price.times(line.quantity)));
    let items: Vec<_> = lines
        .iter()
        .map(|line| serde_json::json!({ "sku": line.sku, "quantity": line.quantity }))
        .collect();
    let mut payload = JsonObject::new();
    payload.insert("customerId".to_owned(), customer_id.into());
    payload.insert("items".to_owned(), items.into());
    payload.insert("totalAmount".to_owned(), malformed_inputs::number(&total.digits()));
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::catalogue::tests::catalogue;

    fn orders(seed: u64, count: u64) -> Vec<Order> {
        let catalogue = catalogue();
        let generator = Generator { catalogue: &catalogue, seed };
        (0..count).map(|number| generator.order(number)).collect()
    }

    #[test]
    fn orders_depend_on_the_seed_only() {
        assert_eq!(orders(7, 300), orders(7, 300));
        assert_eq!(orders(7, 100), orders(7, 300)[..100]);
        assert_ne!(orders(7, 100), orders(8, 100));
    }

    #[test]
    fn every_kind_and_every_repeat_occurs() {
        let orders = orders(1, 1_000);
        for (kind, share) in MIX {
            let count = orders.iter().filter(|order| order.kind == kind).count();
            let share = usize::try_from(share).unwrap();
            assert!((share / 2..=share * 2).contains(&count), "{kind:?}: {count}");
        }
        for repeat in [Repeat::Request, Repeat::Record] {
            assert!(orders.iter().any(|order| order.repeat == repeat));
        }
    }

    #[test]
    fn an_order_matches_its_kind() {
        let catalogue = catalogue();
        let plenty = |sku: &str| {
            let article = catalogue.articles.iter().find(|article| article.sku == sku);
            article.is_some_and(|article| article.supply == Supply::Plenty)
        };
        for order in orders(3, 2_000) {
            let all_plenty = order.items.iter().all(|item| plenty(&item.sku));
            match order.kind {
                Kind::Good => assert!(all_plenty && order.amount.is_above_zero()),
                Kind::OutOfStock => {
                    assert!(order.items.iter().any(|item| item.sku == "POT" && item.quantity > 2));
                }
                Kind::UnknownSku => assert!(!all_plenty),
                Kind::Declined if order.customer_id.as_deref() == Some("poor") => {
                    assert!(all_plenty && order.amount > Cents(49).money());
                }
                Kind::Declined => {
                    assert!(all_plenty && order.customer_id.unwrap().starts_with("nobody-"));
                }
                Kind::Invalid | Kind::Malformed | Kind::Listed => {}
            }
        }
    }
}
