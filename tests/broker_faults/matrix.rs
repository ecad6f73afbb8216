//! The request types of the producer with the errors of each, and the changes of the brokers.

use std::{sync::Arc, time::Duration};

use contracts::Topic;
use engine::engine::DELIVERY_TIMEOUT;
use futures::{FutureExt, future::BoxFuture};
use rdkafka::types::{
    RDKafkaApiKey::{self, ApiVersion, InitProducerId, ListOffsets, Metadata, Produce},
    RDKafkaRespErr::{
        self, RD_KAFKA_RESP_ERR__TRANSPORT as CUT,
        RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE as BROKER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED as CLUSTER_FORBIDDEN,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as LOADING,
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as NO_COORDINATOR,
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as FENCED,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR as STORAGE,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE as NO_LEADER,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as FEW_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND as FEW_REPLICAS_AFTER,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
        RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER as OUT_OF_ORDER,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as TIMED_OUT,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN,
        RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID as UNKNOWN_PRODUCER,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as UNKNOWN_TOPIC,
    },
};

use crate::{
    cell::{Cell, Fault},
    cluster::{BROKERS, Cluster},
};

/// Errors of a request while connecting.
const AT_START: &[(RDKafkaApiKey, &[RDKafkaRespErr])] = &[
    (ApiVersion, &[CUT]),
    (ApiVersion, &[BROKER_NOT_AVAILABLE]),
    (Metadata, &[CUT]),
    (Metadata, &[BROKER_NOT_AVAILABLE]),
    (Metadata, &[NO_LEADER]),
    (Metadata, &[UNKNOWN_TOPIC]),
    (InitProducerId, &[CUT]),
    (InitProducerId, &[LOADING]),
    (InitProducerId, &[NO_COORDINATOR]),
    (InitProducerId, &[BROKER_NOT_AVAILABLE]),
    // Fatal for the client: the brokers refuse it before it has published anything.
    (InitProducerId, &[CLUSTER_FORBIDDEN]),
    (ListOffsets, &[CUT]),
    (ListOffsets, &[NOT_LEADER]),
    (ListOffsets, &[TIMED_OUT]),
];

/// Errors of a request to publish.
const PUBLISHING: &[&[RDKafkaRespErr]] = &[
    &[CUT],
    &[CUT, CUT, CUT],
    &[NOT_LEADER],
    &[NOT_LEADER, NO_LEADER, NOT_LEADER],
    &[TIMED_OUT, TIMED_OUT, TIMED_OUT],
    &[FEW_REPLICAS, FEW_REPLICAS, FEW_REPLICAS],
    &[FEW_REPLICAS_AFTER],
    &[BROKER_NOT_AVAILABLE],
    &[STORAGE],
    &[UNKNOWN_TOPIC],
    &[OUT_OF_ORDER],
    &[UNKNOWN_PRODUCER],
    &[FENCED],
    &[TOO_LARGE],
    &[FORBIDDEN],
    &[CUT, OUT_OF_ORDER],
];

/// A cell for each error.
pub(crate) fn errors() -> Vec<Cell> {
    let at_start = AT_START.iter().map(|(key, errors)| cell(*key, errors, true));
    let publishing = PUBLISHING.iter().map(|errors| cell(Produce, errors, false));
    at_start.chain(publishing).collect()
}

fn cell(key: RDKafkaApiKey, errors: &[RDKafkaRespErr], is_at_start: bool) -> Cell {
    let names = errors.iter().map(|error| {
        let name = format!("{error:?}");
        name.trim_start_matches("RD_KAFKA_RESP_ERR_").trim_start_matches('_').to_owned()
    });
    let names: Vec<String> = names.collect();
    let when = if is_at_start { "at the start" } else { "connected" };
    let name = format!("{key:?} / {} / {when}", names.join(" "));
    Cell { name, fault: Fault::Errors(key, errors.to_vec()), is_at_start }
}

/// Cells in which the brokers change while records are published.
pub(crate) fn changes() -> Vec<Cell> {
    vec![
        // The brokers append a record at once, and respond after the delivery has timed out.
        change("written, and reported failed", false, |cluster| {
            let seconds = DELIVERY_TIMEOUT.as_secs() + 2;
            slow(cluster, Duration::from_secs(60), seconds).boxed()
        }),
        change("round trips of 1 s", false, |cluster| {
            slow(cluster, Duration::from_secs(1), 3).boxed()
        }),
        change("round trips of 1 s while it connects", true, |cluster| {
            slow(cluster, Duration::from_secs(1), 3).boxed()
        }),
        change("every leader moves", false, |cluster| leaders_move(cluster).boxed()),
    ]
}

/// Cells in which brokers are away while records are published.
pub(crate) fn outages() -> Vec<Cell> {
    vec![
        change("a broker is away for 2 s", false, |cluster| away(cluster, 2, 2).boxed()),
        change("all brokers are away for 2 s", false, |cluster| away(cluster, -1, 2).boxed()),
        change("all brokers are away while it connects", true, |cluster| {
            away(cluster, -1, 2).boxed()
        }),
    ]
}

fn change(
    name: &str,
    is_at_start: bool,
    change: impl Fn(Arc<Cluster>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
) -> Cell {
    Cell { name: name.to_owned(), fault: Fault::Change(Arc::new(change)), is_at_start }
}

async fn slow(cluster: Arc<Cluster>, round_trip: Duration, seconds: u64) {
    cluster.round_trip(round_trip);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    cluster.round_trip(Duration::ZERO);
}

async fn leaders_move(cluster: Arc<Cluster>) {
    for turn in 0..4 {
        for partition in 0..BROKERS {
            cluster.lead(Topic::OrderValidated, partition, 1 + (partition + turn) % BROKERS);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// -1: all brokers.
async fn away(cluster: Arc<Cluster>, broker: i32, seconds: u64) {
    cluster.mock().broker_down(broker).expect("the broker stops");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    cluster.mock().broker_up(broker).expect("the broker starts");
}
