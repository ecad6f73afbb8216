//! The embedded broker.

use std::sync::Arc;

use nix::sys::signal::{SigSet, SigmaskHow};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::{Broker, BrokerError};
use crate::template::Topic;

impl Broker {
    /// Starts a broker in this process.
    ///
    /// # Errors
    /// [`BrokerError::Embedded`] if its sockets cannot be opened.
    pub fn embedded() -> Result<Self, BrokerError> {
        let start = || {
            ClientConfig::new()
                .set("test.mock.num.brokers", "1")
                .set_log_level(RDKafkaLogLevel::Critical)
                .create_with_context(MockLog)
        };
        let client: ThreadedProducer<MockLog> =
            without_signals(start).map_err(BrokerError::Signals)?.map_err(BrokerError::Embedded)?;
        let Some(bootstrap_servers) =
            client.client().mock_cluster().map(|cluster| cluster.bootstrap_servers())
        else {
            return Err(BrokerError::Embedded(KafkaError::MockCluster(RDKafkaErrorCode::Fail)));
        };
        Ok(Self { bootstrap_servers, client: Arc::new(client) })
    }

    /// The embedded broker, to inject errors; `None` for an external one.
    #[must_use]
    pub fn mock(&self) -> Option<MockCluster<'_, MockLog>> {
        self.client.client().mock_cluster()
    }

    pub(super) fn create_topics_in_mock(&self, topics: &[Topic]) -> Result<(), BrokerError> {
        let Some(cluster) = self.mock() else { return Ok(()) };
        for topic in topics {
            cluster
                .create_topic(&topic.name, topic.partitions, 1)
                .map_err(|source| BrokerError::Topic { topic: topic.name.clone(), source })?;
        }
        Ok(())
    }
}

/// Logs that the embedded broker has ended.
#[derive(Debug)]
pub struct MockLog;

impl ClientContext for MockLog {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // Other facilities log the client's connection, which an outage breaks.
        if facility == "MOCK" {
            tracing::error!(message, "the embedded broker has ended");
        }
    }
}

impl ProducerContext for MockLog {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Blocks all signals meanwhile; the threads that `start` creates inherit that.
///
/// librdkafka's mock cluster ends when a signal interrupts its thread
/// (<https://github.com/confluentinc/librdkafka/issues/4727>), and a program receives one for each of
/// its child processes that has ended.
///
/// # Errors
/// If the signals cannot be blocked.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> nix::Result<T> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = start();
    before.thread_set_mask()?;
    Ok(started)
}
