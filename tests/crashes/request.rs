//! The requests and the schedule of order-api.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use workflow_tests::{conformance::upstream::Order, world::root};

use crate::target::Trigger;

/// The idempotency key of a customer's order.
pub(crate) fn key(customer: &str) -> String {
    format!("key-of-{customer}")
}

fn event_file(name: &str) -> Value {
    let file = root().join("events/order-api").join(name);
    let event = std::fs::read(file).expect("the event file is read");
    serde_json::from_slice(&event).expect("the event file is JSON")
}

pub(crate) fn cancel_event(order: &Order) -> Value {
    let mut event = event_file("cancel-order.json");
    let path = format!("/orders/{}/cancel", order.id);
    event["requestContext"]["http"]["path"] = path.clone().into();
    event["rawPath"] = path.into();
    event
}

/// A schedule that finds every order accepted so far.
pub(crate) fn schedule_event(trigger: Trigger) -> Value {
    let mut event = event_file("recovery.json");
    let (now, hour) = (Timestamp::now(), SignedDuration::from_hours(1));
    if trigger == Trigger::Expiry {
        // The orders are one second old then.
        event["time"] = (now + SignedDuration::from_secs(1)).to_string().into();
    } else {
        event["time"] = now.to_string().into();
        event["detail"] = json!({ "acceptedSince": (now - hour).to_string() });
    }
    event
}
