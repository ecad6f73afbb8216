//! All records of the topics from now on, by order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::{EventType, Topic};
use emulator::{
    broker::Broker,
    tap::{Tap, TapRecord},
};
use serde_json::Value;

/// The limit for every wait.
pub const TIMEOUT: Duration = Duration::from_mins(3);

type Records = Arc<Mutex<BTreeMap<(String, EventType), Vec<TapRecord>>>>;

/// Reads along what is published.
pub struct Events(Records);

impl Events {
    pub async fn read(broker: &Broker) -> Self {
        let topics: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        let mut tap = Tap::start(broker, &topics).await.expect("the tap opens");
        let records = Records::default();
        let all = Arc::clone(&records);
        tokio::spawn(async move {
            while let Some(record) = tap.next().await {
                let event: Option<Value> =
                    record.payload.as_ref().and_then(|it| serde_json::from_slice(it).ok());
                let Some(event) = event else { continue };
                let name = event["eventType"].as_str().and_then(EventType::from_name);
                let Some(name) = name else { continue };
                let order_id = event["orderId"].as_str().unwrap_or_default().to_owned();
                all.lock().unwrap().entry((order_id, name)).or_default().push(record);
            }
        });
        Self(records)
    }

    /// The copies of an event of an order so far.
    pub fn count(&self, order_id: &str, event_type: EventType) -> usize {
        let records = self.0.lock().unwrap();
        records.get(&(order_id.to_owned(), event_type)).map_or(0, Vec::len)
    }

    /// The first record of an event.
    pub fn first(&self, order_id: &str, event_type: EventType) -> Option<TapRecord> {
        let records = self.0.lock().unwrap();
        records.get(&(order_id.to_owned(), event_type))?.first().cloned()
    }

    /// The types of each order's events. Checks that all records of an event have the same key,
    /// bytes and headers.
    pub fn types(&self) -> BTreeMap<String, BTreeSet<EventType>> {
        let records = self.0.lock().unwrap();
        let mut types: BTreeMap<String, BTreeSet<EventType>> = BTreeMap::new();
        for ((order_id, event_type), records) in &*records {
            let content = |it: &TapRecord| (it.key.clone(), it.payload.clone(), it.headers.clone());
            let first = content(&records[0]);
            let is_same = records.iter().all(|record| content(record) == first);
            assert!(is_same, "{event_type} of {order_id} was published with different contents");
            types.entry(order_id.clone()).or_default().insert(*event_type);
        }
        types
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let reached = tokio::time::timeout(TIMEOUT, reached).await;
    assert!(reached.is_ok(), "not reached: {what}");
}
