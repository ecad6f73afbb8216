//! Faults of the embedded broker.

use std::time::Duration;

use emulator::broker::Broker;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::fault::BrokerRequest;

/// The only broker of the embedded cluster.
const BROKER: i32 = 1;

/// Makes every request take this long, for a time.
pub(super) async fn slow(broker: &Broker, round_trip: Duration, lasts: Duration) -> usize {
    let set = |delay| {
        broker.mock().is_some_and(|mock| mock.broker_round_trip_time(BROKER, delay).is_ok())
    };
    let is_slow = set(round_trip);
    tokio::time::sleep(lasts).await;
    set(Duration::ZERO);
    usize::from(is_slow)
}

/// Rejects the next requests of this kind with errors that pass.
pub(super) fn reject(broker: &Broker, request: BrokerRequest, count: usize) -> usize {
    let (key, error) = match request {
        BrokerRequest::Produce => (
            RDKafkaApiKey::Produce,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ),
        BrokerRequest::Fetch => {
            (RDKafkaApiKey::Fetch, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
        }
        BrokerRequest::OffsetCommit => (
            RDKafkaApiKey::OffsetCommit,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        ),
        BrokerRequest::Metadata => {
            (RDKafkaApiKey::Metadata, RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        }
    };
    let Some(mock) = broker.mock() else { return 0 };
    mock.request_errors(key, &vec![error; count]);
    1
}
