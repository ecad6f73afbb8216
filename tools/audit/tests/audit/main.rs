//! `audit` finds each kind of damage, and reports nothing about a system without any.
//!
//! Runs the program as an operator does, against embedded servers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first error"
)]

mod damage;
mod payments;
mod places;
mod program;
mod rows;
mod scale;
mod tables;
mod under_way;

use std::collections::BTreeMap;

use contracts::{Envelope, EventType, OrderId, StoredEvent, Topic};
use emulator::tap::TapRecord;
use jiff::Timestamp;
use serde_json::{Value, json};
use workflow_tests::world::World;

use damage::{Finished, apply};
use program::{Audited, Database, audit};

/// The variables that lead `audit` to the servers of a world.
fn environment(world: &World) -> BTreeMap<String, String> {
    let mut environment = world.stack.environment();
    environment.remove("STRIPE_API_KEY");
    environment
}

fn order(amount: &str) -> Value {
    let amount: serde_json::Number = serde_json::from_str(amount).unwrap();
    json!({
        "customerId": "cust-1",
        "items": [{ "sku": "SKU-1", "quantity": 1 }, { "sku": "SKU-1", "quantity": 1 }],
        "totalAmount": amount,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_is_found_and_nothing_else() {
    let mut world = World::start().await;
    world.stock("SKU-1", 1_000).await;
    world.account("cust-1", "1000").await;
    let folder = tempfile::tempdir().unwrap();
    let opening = folder.path().join("opening.json").display().to_string();
    let environment = environment(&world);
    let saved = audit(&environment, &["--save", &opening]).await;
    assert_eq!((saved.status, saved.findings()), (0, vec![]), "{saved:?}");

    let completed = world.accepted(&order("12.5")).await;
    world.ended(&completed).await;
    let mut declined = order("1000");
    declined["items"] = json!([{ "sku": "SKU-1", "quantity": 1 }]);
    let declined = world.accepted(&declined).await;
    world.ended(&declined).await;
    world.until_reserved("SKU-1", "2").await;

    let database = Database {
        client: world.stack.database.client().clone(),
        environment: environment.clone(),
    };
    let finished = Finished { completed: completed.clone(), declined };
    let look = async || audit(&environment, &["--opening", &opening, "--open-for", "0s"]).await;
    let balanced = look().await;
    assert_eq!((balanced.status, balanced.findings()), (0, vec![]), "{balanced:?}");
    assert!(balanced.report["opening"].is_string(), "{balanced:?}");
    for damage in damage::all(&database, &finished).await {
        let expected = vec![(damage.kind.to_owned(), damage.subject.clone())];
        let undo = damage.plant(&database).await;
        let found = look().await;
        assert_eq!((found.status, found.findings()), (1, expected), "{found:?}");
        apply(undo, &database).await;
    }
    let balanced = look().await;
    assert_eq!((balanced.status, balanced.findings()), (0, vec![]), "{balanced:?}");
    // The report of a malformed record is a row of the stage that reads its topic, `close` included.
    for topic in Topic::ALL {
        world.write(*topic, Some(0), "malformed", b"no event").await;
    }
    let reports = Topic::ALL.iter().filter(|topic| topic.malformed_failure().is_some()).count();
    let is_report = |record: &&TapRecord| {
        let event = record.payload.as_deref().and_then(|it| Envelope::decode(it).ok());
        event.is_some_and(|event| event.is_malformed_report())
    };
    world.until("the reports", |seen| seen.iter().filter(is_report).count() >= reports).await;
    let reported = look().await;
    assert_eq!((reported.status, reported.findings()), (0, vec![]), "{reported:?}");
    // Without the opening, which knows the customer.
    let undo = apply(damage::erased(&database, &completed).await, &database).await;
    let erased = audit(&environment, &["--open-for", "0s"]).await;
    assert_eq!((erased.status, erased.findings()), (0, vec![]), "{erased:?}");
    apply(undo, &database).await;
    damage_of_topics(&mut world, &completed, look).await;
    world.stop().await;
}

/// Records stay on their topics, so each audit finds those of the earlier ones too.
async fn damage_of_topics(world: &mut World, completed: &str, look: impl AsyncFn() -> Audited) {
    let forged = OrderId::parse("ord-forged").unwrap();
    let forged =
        StoredEvent::new(EventType::PaymentCompleted, &forged, "corr-1", Timestamp::now(), "{}");
    world.write_event(&forged, 0).await;
    let mut expected = vec![("event-without-row".to_owned(), "ord-forged".to_owned())];
    let found = look().await;
    assert_eq!((found.status, found.findings()), (1, expected.clone()), "{found:?}");

    let id = OrderId::parse(completed).unwrap();
    let other = StoredEvent::new(EventType::OrderCompleted, &id, "corr-1", Timestamp::now(), "{}");
    world.write_event(&other, 0).await;
    expected.push(("event-differs".to_owned(), completed.to_owned()));
    let found = look().await;
    assert_eq!((found.status, found.findings()), (1, expected.clone()), "{found:?}");

    // A malformed record whose report is lost. The validator must not see it meanwhile.
    world.stack.mappings.values().for_each(|mapping| mapping.pause());
    world.write(Topic::OrderCreated, Some(0), "malformed", b"not JSON").await;
    let found = look().await;
    let unreported = found.findings().into_iter().find(|it| !expected.contains(it));
    let (kind, position) = unreported.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(kind, "unreported-record", "{found:?}");
    assert!(position.starts_with("order.created-0-"), "{position}");
    assert_eq!(found.findings().len(), 3, "{found:?}");
}
