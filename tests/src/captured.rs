//! A log in memory, in the functions' format.

use std::{
    io,
    sync::{Arc, Mutex, Once},
};

use serde_json::Value;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

/// The log of one thread.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

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
    pub fn start(directives: &str) -> (Self, tracing::subscriber::DefaultGuard) {
        static OTHER_THREADS: Once = Once::new();
        // With a single subscriber, a log statement that a thread without one reaches first would
        // be switched off for all threads.
        OTHER_THREADS.call_once(|| {
            tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        });
        let captured = Self::default();
        let writer = captured.clone();
        let lines =
            runtime::json_lines(EnvFilter::new(directives), "validator", move || writer.clone());
        (captured, lines.set_default())
    }

    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines about an order.
    pub fn of_order(&self, order_id: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["orderId"] == order_id).collect()
    }

    /// The only outcome of an order's records.
    pub fn outcome(&self, order_id: &str) -> String {
        let lines = self.of_order(order_id);
        let outcomes: Vec<_> = lines.iter().filter_map(|line| line["outcome"].as_str()).collect();
        assert_eq!(outcomes.len(), 1, "{order_id}: {lines:?}");
        outcomes[0].to_owned()
    }
}
