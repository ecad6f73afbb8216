//! More orders than stock.

use workflow_tests::events::{Events, until};

use crate::{accepted, ended, is_completed, order, world};

const UNITS: u32 = 100;

/// Quantities of the orders for one SKU.
struct Sku {
    name: &'static str,
    quantities: Vec<u32>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_orders_for_a_hundred_units_sell_every_unit_once() {
    let (world, _items) = world().await;
    let events = Events::read(&world.stack.broker).await;
    let skus = [
        Sku { name: "SINGLE", quantities: vec![1; 1_000] },
        Sku { name: "TRIPLE", quantities: vec![3; 60] },
        Sku { name: "MIXED", quantities: (0..120).map(|number| 1 + number % 4).collect() },
    ];
    world.account("rich", "1000000").await;
    let mut orders = Vec::new();
    for sku in &skus {
        world.stock(sku.name, UNITS).await;
        orders.extend(sku.quantities.iter().map(|quantity| order("rich", sku.name, *quantity, 1)));
    }
    let ids = accepted(&world, &orders).await;
    let ends = ended(&world, &ids).await;

    let (mut at, mut paid) = (0, 0);
    for sku in &skus {
        let of_sku = ids[at..at + sku.quantities.len()].iter().zip(&sku.quantities);
        at += sku.quantities.len();
        let (completed, refused): (Vec<_>, Vec<_>) =
            of_sku.partition(|(id, _)| is_completed(id, &ends[*id], "OUT_OF_STOCK"));
        let sold: u32 = completed.iter().map(|(_, quantity)| **quantity).sum();
        paid += completed.len();
        // Nothing is given back, so that what is left was too little for every refused order.
        let least = refused.iter().map(|(_, quantity)| **quantity).min().expect("a refused order");
        assert!(UNITS - sold < least, "{}: {sold} sold, but {least} were refused", sku.name);
        let stock = ((UNITS - sold).to_string(), sold.to_string());
        assert_eq!(world.available_and_reserved(sku.name).await, stock, "{}", sku.name);
        println!(
            "{}: {} of {} orders, {sold} units",
            sku.name,
            completed.len(),
            sku.quantities.len()
        );
    }
    assert_eq!(world.balance("rich").await, (1_000_000 - paid).to_string());
    until("an event of every order", async || ids.iter().all(|id| has_ended(&events, id))).await;
    events.types();
    world.stop().await;
}

fn has_ended(events: &Events, id: &str) -> bool {
    use contracts::EventType::{OrderCompleted, OrderInventoryFailed};
    [OrderCompleted, OrderInventoryFailed].iter().any(|it| events.count(id, *it) > 0)
}
