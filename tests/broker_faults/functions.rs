//! The whole workflow, with its processes and mappings, while their broker fails.

use std::{collections::BTreeMap, time::Duration};

use contracts::EventType;
use emulator::broker::Broker;
use rdkafka::types::{
    RDKafkaApiKey::{self, Fetch, Metadata, OffsetCommit, Produce},
    RDKafkaRespErr::{
        self, RD_KAFKA_RESP_ERR__TRANSPORT as CUT,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as LOADING,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE as NO_LEADER,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR as NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as FEW_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
        RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER as OUT_OF_ORDER,
    },
};
use serde_json::json;
use workflow_tests::{
    events::{Events, until},
    functions::FUNCTIONS,
    rows,
    world::World,
};

use crate::PORTS;

/// Orders that are posted after each fault.
const ORDERS: usize = 4;

const ERRORS: &[(RDKafkaApiKey, &[RDKafkaRespErr])] = &[
    (Fetch, &[CUT, CUT]),
    (Fetch, &[NOT_LEADER, NOT_LEADER]),
    (OffsetCommit, &[CUT]),
    (OffsetCommit, &[LOADING, NOT_COORDINATOR]),
    (Metadata, &[NO_LEADER, CUT]),
    (Produce, &[FEW_REPLICAS, NOT_LEADER]),
    (Produce, &[OUT_OF_ORDER]),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_and_mappings_survive_a_failing_broker_without_a_restart() {
    let _ports = PORTS.lock().await;
    let world = World::start().await;
    let broker = &world.stack.broker;
    if broker.mock().is_none() {
        return world.stop().await;
    }
    let events = Events::read(broker).await;
    world.stock("A", 1_000).await;
    world.account("cust-1", "1000").await;
    let mut ids = post(&world, ORDERS).await;
    all_end(&world, &ids).await;
    let processes = processes(&world);

    for (key, errors) in ERRORS {
        broker.mock().expect("an embedded broker").request_errors(*key, errors);
        ids.extend(post(&world, ORDERS).await);
    }
    round_trips(broker, Duration::from_millis(300));
    ids.extend(post(&world, ORDERS).await);
    round_trips(broker, Duration::ZERO);
    all_end(&world, &ids).await;
    // The processes have orders in work while the broker goes.
    ids.extend(post(&world, 4 * ORDERS).await);
    let outage = broker.outage().expect("the broker goes");
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(outage);
    all_end(&world, &ids).await;

    for id in &ids {
        until("the last event", async || events.count(id, EventType::OrderCompleted) > 0).await;
    }
    let types = events.types();
    assert!(ids.iter().all(|id| types[id].len() == 5), "an order lacks an event: {types:?}");
    let sold = ids.len().to_string();
    assert_eq!(world.available_and_reserved("A").await.1, sold);
    assert_eq!(world.balance("cust-1").await, (1_000 - ids.len()).to_string());
    // A process may have been added; none of the first was replaced.
    let now = self::processes(&world);
    for (function, first) in &processes {
        let is_there = first.iter().all(|id| now[function].contains(id));
        assert!(is_there, "{function}: {first:?} became {:?}", now[function]);
    }
    println!("{} orders completed while the broker failed", ids.len());
    world.stop().await;
}

async fn post(world: &World, number: usize) -> Vec<String> {
    let order = json!({
        "customerId": "cust-1", "items": [{ "sku": "A", "quantity": 1 }], "totalAmount": 1,
    });
    let mut ids = Vec::new();
    for _ in 0..number {
        let key = uuid::Uuid::new_v4().to_string();
        // A response may say that the order is stored and not published: a client repeats it.
        until("acceptance", async || {
            let (status, body) = world.post(&order, Some(&key)).await;
            let is_accepted = status == 202;
            assert!(is_accepted || status == 503, "{status}: {body}");
            ids.extend(is_accepted.then(|| body["orderId"].as_str().unwrap().to_owned()));
            is_accepted
        })
        .await;
    }
    ids
}

async fn all_end(world: &World, ids: &[String]) {
    until("the end of all orders", async || {
        let closed = rows::closed(world).await;
        ids.iter().all(|id| closed.get(id).is_some_and(|end| end["status"] == "COMPLETED"))
    })
    .await;
}

fn round_trips(broker: &Broker, time: Duration) {
    let mock = broker.mock().expect("an embedded broker");
    mock.broker_round_trip_time(1, time).expect("the time is set");
}

fn processes(world: &World) -> BTreeMap<&'static str, Vec<u32>> {
    let functions = world.stack.functions.as_ref().expect("functions");
    FUNCTIONS.iter().map(|it| (it.name, functions.process_ids(it.name))).collect()
}
