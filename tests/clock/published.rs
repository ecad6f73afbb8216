//! The events on the topics: each of an order once, or again with the same bytes.

use std::{collections::BTreeMap, time::Duration};

use emulator::tap::{Tap, TapRecord};
use serde_json::Value;
use tokio::time::timeout;

/// The events that were published, by `ce_id`, with how often.
#[derive(Default)]
pub(crate) struct Published(BTreeMap<String, (Vec<u8>, usize)>);

impl Published {
    /// Reads the topics until this many different events were published.
    pub(crate) async fn until(&mut self, tap: &mut Tap, events: usize) {
        while self.0.len() < events {
            let record = timeout(Duration::from_secs(60), tap.next()).await;
            let record = record.unwrap_or_else(|_| panic!("{} of {events} events", self.0.len()));
            self.add(&record.unwrap());
        }
        while let Some(record) = tap.next_ready() {
            self.add(&record);
        }
    }

    pub(crate) fn add(&mut self, record: &TapRecord) {
        let body = record.payload.clone().unwrap();
        let header = |name: &str| {
            let value = record.headers.iter().find(|(it, _)| it == name).unwrap().1.clone();
            String::from_utf8(value.unwrap()).unwrap()
        };
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["timestamp"], header("ce_time"), "of another time than the event");
        let id = header("ce_id");
        let (first, times) = self.0.entry(id.clone()).or_insert_with(|| (body.clone(), 0));
        assert_eq!(*first, body, "{id} was published with other bytes");
        *times += 1;
    }

    /// The copies of this event of an order.
    pub(crate) fn times(&self, order_id: &str, event_type: &str) -> usize {
        self.0.get(&format!("{order_id}/{event_type}")).map_or(0, |(_, times)| *times)
    }
}
