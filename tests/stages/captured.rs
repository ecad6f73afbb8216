//! A log in memory, in the functions' format.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// Captures this thread's log, as the validator's, with these directives of `RUST_LOG`.
    pub(crate) fn start(directives: &str) -> (Self, tracing::subscriber::DefaultGuard) {
        let captured = Self::default();
        let writer = captured.clone();
        let lines =
            runtime::json_lines(EnvFilter::new(directives), "validator", move || writer.clone());
        (captured, lines.set_default())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines about an order.
    pub(crate) fn of_order(&self, order_id: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["orderId"] == order_id).collect()
    }

    /// The only outcome of an order's records.
    pub(crate) fn outcome(&self, order_id: &str) -> String {
        let lines = self.of_order(order_id);
        let outcomes: Vec<_> = lines.iter().filter_map(|line| line["outcome"].as_str()).collect();
        assert_eq!(outcomes.len(), 1, "{order_id}: {lines:?}");
        outcomes[0].to_owned()
    }
}
