//! The orders of the page's buttons, one list per outcome, made from the catalogue.

use serde::Serialize;

use crate::fixtures::catalogue::{Article, Catalogue, Cents, Customer, Supply};

const GOOD_ORDERS: usize = 24;
/// More than any stock.
const TOO_MANY: u64 = 1_000_000;

/// Bodies for `POST /orders` by outcome. The page sends each list in rotation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Samples {
    good: Vec<String>,
    invalid: Vec<String>,
    out_of_stock: Vec<String>,
    declined: Vec<String>,
}

impl Samples {
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let articles: Vec<_> = plenty(&catalogue.articles, |article| article.supply).collect();
        let customers: Vec<_> = plenty(&catalogue.customers, |customer| customer.supply).collect();
        let pairs = articles.iter().cycle().zip(customers.iter().cycle());
        let first = pairs.clone().take(1);
        let poor = catalogue.customers.iter().find(|customer| customer.supply == Supply::Limited);
        Self {
            good: pairs
                .take(GOOD_ORDERS)
                .zip((1..=3).cycle())
                .map(|((article, customer), quantity)| order(customer, article, quantity))
                .collect(),
            invalid: first
                .clone()
                .map(|(article, _)| {
                    let line = line(article, 0);
                    format!(r#"{{"items":[{line}],"totalAmount":{}}}"#, article.price.digits())
                })
                .collect(),
            out_of_stock: first
                .clone()
                .map(|(article, customer)| order(customer, article, TOO_MANY))
                .collect(),
            declined: first
                .zip(poor)
                .map(|((article, _), poor)| {
                    let quantity = poor.balance.0.checked_div(article.price.0).unwrap_or_default();
                    order(poor, article, quantity.saturating_add(1))
                })
                .collect(),
        }
    }
}

fn plenty<T>(all: &[T], supply: fn(&T) -> Supply) -> impl Iterator<Item = &T> {
    all.iter().filter(move |one| supply(one) == Supply::Plenty)
}

fn order(customer: &Customer, article: &Article, quantity: u64) -> String {
    let customer_id = &customer.customer_id;
    let (line, total) = (line(article, quantity), total(article, quantity).digits());
    format!(r#"{{"customerId":"{customer_id}","items":[{line}],"totalAmount":{total}}}"#)
}

fn line(article: &Article, quantity: u64) -> String {
    format!(r#"{{"sku":"{}","quantity":{quantity}}}"#, article.sku)
}

fn total(article: &Article, quantity: u64) -> Cents {
    article.price.times(quantity)
}

#[cfg(test)]
mod tests {
    use contracts::{Object, order};

    use super::*;
    use crate::fixtures::catalogue::tests::catalogue;

    fn payload(body: &str) -> Object<'_> {
        Object::parse(body).unwrap()
    }

    #[test]
    fn a_good_order_is_in_stock_and_has_the_right_total() {
        let samples = Samples::of(&catalogue());
        assert_eq!(samples.good.len(), GOOD_ORDERS);
        for body in &samples.good {
            let payload = payload(body);
            let items = order::items(&payload).unwrap();
            let article = catalogue().articles.into_iter().find(|a| a.sku == items[0].sku).unwrap();
            assert_eq!(article.supply, Supply::Plenty);
            assert!(["ann", "bob"].contains(&order::customer_id(&payload).unwrap().as_ref()));
            let costs = article.price.times(items[0].quantity).money();
            assert_eq!(order::total_amount(&payload).unwrap(), costs);
        }
    }

    #[test]
    fn every_other_order_has_one_error() {
        let samples = Samples::of(&catalogue());
        let invalid = payload(&samples.invalid[0]);
        assert!(order::customer_id(&invalid).is_err() && order::items(&invalid).is_err());
        let short = payload(&samples.out_of_stock[0]);
        assert_eq!(order::items(&short).unwrap()[0].quantity, TOO_MANY);
        assert!(order::customer_id(&short).is_ok() && order::total_amount(&short).is_ok());
        let declined = payload(&samples.declined[0]);
        assert_eq!(order::customer_id(&declined).unwrap(), "poor");
        assert_eq!(order::total_amount(&declined).unwrap(), Cents(450).money());
    }
}
