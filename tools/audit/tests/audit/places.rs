//! Where `audit` finds the tables and the topics: a running `cargo run -- up`, or its options.

use std::fmt::Write as _;

use emulator::{broker::Broker, template::Template};
use jiff::{SignedDuration, Timestamp};
use local_runs::Run;
use serde_json::Value;
use workflow_tests::world::root;

use crate::{
    program::{audit, audit_in},
    rows::Sample,
    tables::Tables,
};

#[tokio::test(flavor = "multi_thread")]
async fn events_from_before_the_topics_of_up_are_not_missed() {
    let tables = Tables::start().await;
    let broker = Broker::embedded().unwrap();
    let template = Template::read(&root().join("template.yaml")).unwrap();
    broker.create_topics(&template.topics).await.unwrap();
    let restarted = Timestamp::now();
    let at = restarted - SignedDuration::from_hours(1);
    let sample = Sample { id: "ord-1", customer: "cust-1", sku: "SKU-1", amount: "12.50", at };
    tables.database.insert(&sample.invalid()).await;

    let mut settings = format!("KAFKA_BOOTSTRAP_SERVERS={}\n", broker.bootstrap_servers());
    for (name, value) in &tables.database.environment {
        writeln!(settings, "{name}={value}").unwrap();
    }
    let workspace = tempfile::tempdir().unwrap();
    let run = Run::start(workspace.path()).unwrap();
    let missed = vec![("event-not-published".to_owned(), "ord-1".to_owned())];
    run.publish(&settings).unwrap();
    let found = audit_in(workspace.path(), &[]).await;
    assert_eq!((found.status, found.findings()), (1, missed.clone()), "{found:?}");

    run.publish(&format!("{settings}EVENTS_SINCE={restarted:.3}\n")).unwrap();
    let ways: [&[&str]; 2] = [&[], &["--no-topics"]];
    for options in ways {
        let found = audit_in(workspace.path(), options).await;
        assert_eq!((found.status, found.findings()), (0, vec![]), "{found:?}");
        assert_eq!(found.report["opening"], Value::Null, "{found:?}");
    }
    // The settings of one of several runs, set as variables.
    let mut environment = tables.database.environment.clone();
    let servers = broker.bootstrap_servers().to_owned();
    environment.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), servers);
    environment.insert("EVENTS_SINCE".to_owned(), format!("{restarted:.3}"));
    let found = audit(&environment, &[]).await;
    assert_eq!((found.status, found.findings()), (0, vec![]), "{found:?}");
    let given = format!("{at:.3}");
    let found = audit_in(workspace.path(), &["--events-since", &given]).await;
    assert_eq!((found.status, found.findings()), (1, missed), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_exist_is_named_with_its_option() {
    let tables = Tables::start().await;
    let environment = &tables.database.environment;
    let ended = audit(environment, &["--no-topics", "--orders-table", "Nope"]).await;
    assert_eq!(ended.status, 2, "{ended:?}");
    for expected in ["no table Nope", &environment["AWS_ENDPOINT_URL_DYNAMODB"], "--orders-table"] {
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}
