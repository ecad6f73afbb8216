//! The items and customers of a run, and orders for them.

use contracts::Money;
use model::{Protocol, Shared, Stock, Terms, replay::Replay};
use rand::RngExt as _;
use serde_json::{Value, json};
use workflow_tests::world::World;

/// Items that run out; their orders are neither cancelled nor unpaid, so that what was refused once
/// could not have been served later.
const SCARCE: usize = 4;
const PLENTY: usize = 4;
/// The last customer has little money.
const CUSTOMERS: usize = 6;
const MUCH: i64 = 1_000_000;

pub(crate) struct Market {
    units: Vec<i64>,
    balances: Vec<i64>,
}

/// A client's behaviour with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Good,
    /// For an item that runs out.
    Scarce,
    Unpaid,
    Invalid,
    Cancelled,
}

impl Wish {
    pub(crate) fn random(rng: &mut impl rand::Rng) -> Self {
        match rng.random_range(0..100) {
            0..50 => Self::Good,
            50..70 => Self::Scarce,
            70..80 => Self::Unpaid,
            80..85 => Self::Invalid,
            _ => Self::Cancelled,
        }
    }
}

fn sku(item: usize) -> String {
    format!("SKU-{item}")
}

fn customer_id(customer: usize) -> String {
    format!("cust-{customer}")
}

/// The number at the end of an id.
fn index(id: &str) -> usize {
    id.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Market {
    /// A tenth of the orders finds an item sold out, and most of the poor customer's a low balance.
    pub(crate) fn for_orders(orders: u64) -> Self {
        let orders = i64::try_from(orders).expect("a number of orders");
        let scarce = [orders / 30; SCARCE];
        let units = scarce.into_iter().chain([MUCH; PLENTY]).collect();
        let mut balances = vec![MUCH; CUSTOMERS];
        balances[CUSTOMERS - 1] = orders / 50;
        Self { units, balances }
    }

    pub(crate) fn order(wish: Wish, rng: &mut impl rand::Rng) -> Value {
        let item = match wish {
            Wish::Scarce => rng.random_range(0..SCARCE),
            _ => rng.random_range(SCARCE..SCARCE + PLENTY),
        };
        let customer = match wish {
            Wish::Unpaid => CUSTOMERS - 1,
            _ => rng.random_range(0..CUSTOMERS - 1),
        };
        let quantity = if wish == Wish::Invalid { 0 } else { 1 };
        json!({
            "customerId": customer_id(customer),
            "items": [{ "sku": sku(item), "quantity": quantity }],
            "totalAmount": 1,
        })
    }

    /// The content of an order, from the body of its first event.
    pub(crate) fn terms(&self, body: &str) -> Terms {
        let event: Value = serde_json::from_str(body).expect("an event");
        let (payload, item) = (&event["payload"], &event["payload"]["items"][0]);
        Terms {
            is_valid: item["quantity"] != 0,
            item: index(item["sku"].as_str().unwrap()),
            quantity: item["quantity"].as_i64().unwrap(),
            customer: index(payload["customerId"].as_str().unwrap()),
            amount: payload["totalAmount"].as_i64().unwrap(),
            is_declined: false,
            repeats: true,
            cancels: true,
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        Protocol::default()
    }

    pub(crate) fn shared(&self) -> Shared {
        let stock = self.units.iter().map(|units| Stock { available: *units, reserved: 0 });
        Shared { stock: stock.collect(), balances: self.balances.clone() }
    }

    pub(crate) async fn open(&self, world: &World) {
        for (item, units) in self.units.iter().enumerate() {
            world.stock(&sku(item), u32::try_from(*units).unwrap()).await;
        }
        for (customer, balance) in self.balances.iter().enumerate() {
            world.account(&customer_id(customer), &balance.to_string()).await;
        }
    }

    /// The tables have what the model has.
    pub(crate) async fn assert_closed(&self, world: &World, replay: &Replay) {
        for (item, stock) in replay.shared.stock.iter().enumerate() {
            let expected = (stock.available.to_string(), stock.reserved.to_string());
            assert_eq!(world.available_and_reserved(&sku(item)).await, expected, "{}", sku(item));
        }
        for (customer, balance) in replay.shared.balances.iter().enumerate() {
            let left = Money::from_text(&world.balance(&customer_id(customer)).await);
            assert_eq!(left, Money::from_text(&balance.to_string()));
        }
    }
}
