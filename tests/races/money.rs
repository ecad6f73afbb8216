//! More charges than money.

use workflow_tests::events::until;

use crate::{accepted, ended, is_completed, order, world};

#[tokio::test(flavor = "multi_thread")]
async fn charges_on_one_balance_never_take_more_than_there_is_and_leave_no_order_that_fits() {
    let (world, _items) = world().await;
    world.stock("A", 10_000).await;
    // Customer, balance, amount of an order, number of orders, orders that the balance pays.
    let cases = [("two", 100, 60, 2, 1), ("many", 37, 1, 150, 37), ("large", 100, 7, 60, 14)];
    let mut orders = Vec::new();
    for (customer, balance, amount, number, _) in cases {
        world.account(customer, &format!("{balance}")).await;
        orders.extend((0..number).map(|_| order(customer, "A", 1, amount)));
    }
    let ids = accepted(&world, &orders).await;
    let ends = ended(&world, &ids).await;
    let (mut at, mut sold) = (0, 0);
    for (customer, balance, amount, number, paid) in cases {
        let of_customer = &ids[at..at + number];
        at += number;
        let completed = of_customer.iter().filter(|id| is_completed(id, &ends[*id], "PAYMENT"));
        let completed = completed.count();
        sold += completed;
        println!("{customer}: {completed} of {number} orders are paid");
        assert_eq!(completed, paid, "{customer}");
        let left = balance - amount * u32::try_from(paid).unwrap();
        assert_eq!(world.balance(customer).await, left.to_string(), "{customer}");
    }
    let stock = ((10_000 - sold).to_string(), sold.to_string());
    let is_released = async || world.available_and_reserved("A").await == stock;
    until("what the declined orders had reserved", is_released).await;
    world.stop().await;
}
