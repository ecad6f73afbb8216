//! One stage in one situation: its own broker, database proxy and providers, and the checks.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use emulator::broker::Broker;
use faults::database_proxy::DatabaseProxy;

use super::{
    delivery::{Batch, Record},
    harness::{Harness, Item},
    process::Process,
    sns::Sns,
    stripe::Stripe,
    subject::{Provider, Subject},
    topics::published,
    upstream::{AVAILABLE, BALANCE, BALANCE_CHARGED, CENTS, Order, QUANTITY},
};

/// The functions' timeout in the template.
pub const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Case {
    pub subject: Subject,
    pub orders: Vec<Order>,
    pub proxy: DatabaseProxy,
    pub harness: Arc<Harness>,
    pub broker: Broker,
    pub stripe: Stripe,
    pub sns: Sns,
}

impl Case {
    pub async fn new(harness: Arc<Harness>, subject: Subject, orders: Vec<Order>) -> Self {
        let proxy = DatabaseProxy::start(harness.database.endpoint()).await.expect("a proxy");
        let broker = harness.broker().await;
        let (stripe, sns) = (Stripe::start().await, Sns::start().await);
        Self { subject, orders, proxy, harness, broker, stripe, sns }
    }

    pub async fn process(&self, timeout: Duration) -> Process {
        self.process_with(timeout, &[]).await
    }

    /// A process of the stage's function with additional environment variables.
    pub async fn process_with(&self, timeout: Duration, more: &[(&str, String)]) -> Process {
        let settings: &[(&str, String)] = match self.subject.provider {
            Provider::None => &[],
            Provider::Stripe => &[
                ("PAYMENT_PROVIDER", "stripe".to_owned()),
                ("CURRENCY", "USD".to_owned()),
                ("STRIPE_API_KEY", "sk_test_conformance".to_owned()),
                ("STRIPE_API_BASE", self.stripe.url.clone()),
            ],
            Provider::Sns => &[
                ("NOTIFICATION_CHANNEL", "sns".to_owned()),
                ("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:orders".to_owned()),
                ("AWS_ENDPOINT_URL_SNS", self.sns.url.clone()),
            ],
        };
        let settings = [settings, more].concat();
        self.start(self.subject.function, &settings, timeout).await
    }

    /// A process of any function with the servers of the case.
    pub async fn start(
        &self,
        function: &str,
        settings: &[(&str, String)],
        timeout: Duration,
    ) -> Process {
        let servers = (&self.broker, self.proxy.url.as_str());
        Process::start(self.harness.function(function, servers, settings, timeout)).await
    }

    pub fn batch(&self, partitions: &[&[&Record]]) -> Batch {
        let records = |records: &&[&Record]| records.iter().copied().cloned().collect();
        let partitions = partitions.iter().map(records).collect();
        Batch { topic: self.subject.input, partitions }
    }

    /// A batch of all orders, on two partitions.
    pub fn whole_batch(&self) -> Batch {
        let inputs: Vec<_> = self.orders.iter().map(|order| &order.input).collect();
        let (first, second) = inputs.split_at(inputs.len() / 2);
        self.batch(&[first, second])
    }

    /// Texts that identify the insert of the stage's row for an order.
    pub fn row_texts(&self, order: &Order) -> [String; 2] {
        [format!("\"S\":\"{}\"", order.id), format!("\"S\":\"{}\"", self.subject.stage)]
    }

    /// Delays the broker's responses beyond every client's timeout.
    ///
    /// Its listener stays open: otherwise another case may take the port, and librdkafka's mock
    /// aborts the process if it cannot listen there again.
    pub fn take_broker_away(&self) {
        self.set_round_trip_time(Duration::from_secs(120));
    }

    pub fn bring_broker_back(&self) {
        self.set_round_trip_time(Duration::ZERO);
    }

    fn set_round_trip_time(&self, time: Duration) {
        let cluster = self.broker.mock().expect("the broker is embedded");
        cluster.broker_round_trip_time(1, time).expect("the time is set");
    }

    /// All rows of the case's orders.
    pub async fn rows(&self) -> BTreeMap<(String, String), Item> {
        let mut rows = BTreeMap::new();
        for order in &self.orders {
            let of_order = self.harness.rows(&order.id).await;
            rows.extend(of_order.into_iter().map(|(it, row)| ((order.id.clone(), it), row)));
        }
        rows
    }

    pub async fn row(&self, order: &Order) -> Option<Item> {
        self.harness.rows(&order.id).await.remove(self.subject.stage)
    }

    pub async fn published(&self) -> Vec<Record> {
        published(self.broker.bootstrap_servers()).await
    }

    /// Checks rows, events and effects of all orders, and the number of provider calls for each.
    pub async fn check(&self, calls: RangeInclusive<usize>) {
        let records = self.published().await;
        for order in &self.orders {
            self.check_events(order, &records).await;
        }
        self.check_effects().await;
        for order in &self.orders {
            self.check_calls(order, &calls);
        }
    }

    /// Checks that an order has a row, and that all its events equal the bytes in that row; an order
    /// that is ended early has the event before published again.
    async fn check_events(&self, order: &Order, records: &[Record]) {
        let id = &order.id;
        let row = self.row(order).await.unwrap_or_else(|| panic!("{id} has no row"));
        let events = events(order, records);
        let Some(topic) = self.subject.output else {
            assert!(events.is_empty(), "{id} has events: {events:?}");
            return;
        };
        let is_again = |it: &Record| it.topic != topic && it.value == order.input.value;
        let own: Vec<_> = events.into_iter().filter(|it| !is_again(it)).collect();
        let first = own.first().unwrap_or_else(|| panic!("{id} has no event"));
        assert!(own.iter().all(|it| it == first), "{id} has different events: {own:?}");
        assert_eq!(first.topic, topic, "{id}: topic of the event");
        assert_eq!(first.key.as_deref(), Some(id.as_bytes()), "{id}: key of the event");
        let is_event = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.as_bytes() == first.value,
            AttributeValue::B(bytes) => bytes.as_ref() == first.value,
            _ => false,
        };
        assert!(row.values().any(is_event), "{id}: its event is not in its row {row:?}");
    }

    /// Checks that the effects of every order were applied once.
    async fn check_effects(&self) {
        let Some(Order { sku, .. }) = self.orders.first() else { return };
        let reserved = if self.subject.reserves { QUANTITY * self.orders.len() } else { 0 };
        for (attribute, expected) in [("available", AVAILABLE - reserved), ("reserved", reserved)] {
            let number = self.harness.number("StockTable", ("sku", sku), attribute).await;
            assert_eq!(number, expected.to_string(), "{sku}: {attribute}");
        }
        if !self.subject.has_account {
            return;
        }
        let unchanged = BALANCE.to_string();
        let expected = if self.subject.charges_wallet { BALANCE_CHARGED } else { &unchanged };
        for Order { customer, .. } in &self.orders {
            let key = ("customerId", customer.as_str());
            let balance = self.harness.number("AccountsTable", key, "balance").await;
            assert_eq!(balance, expected, "{customer}: balance");
        }
    }

    /// Checks that an order was charged once, and the number of provider calls for it.
    pub fn check_calls(&self, order: &Order, expected: &RangeInclusive<usize>) {
        let calls = match self.subject.provider {
            Provider::None => return,
            Provider::Stripe => {
                assert_eq!(self.stripe.charges(&order.id), [CENTS], "{}: charges", order.id);
                self.stripe.requests(&order.customer)
            }
            Provider::Sns => self.sns.messages(&order.id),
        };
        let number = match (expected.start(), expected.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first} to {last}"),
        };
        assert!(expected.contains(&calls), "provider calls for one order: {calls}, not {number}");
    }
}

pub fn events<'a>(order: &Order, records: &'a [Record]) -> Vec<&'a Record> {
    records.iter().filter(|it| it.order_id().as_deref() == Some(&*order.id)).collect()
}
