//! The rows that the database has stored, from the exchanges of the proxy.

use std::sync::{Arc, Mutex};

use contracts::{Envelope, EventType, FailureCode, StageName, failure::failure_code};
use faults::database_proxy::{Exchange, Fault};
use model::{
    Early, Row,
    replay::{Entry, What},
    row_of,
};
use serde_json::Value;
use workflow_tests::world::World;

use crate::trace::us;

/// Records every row that is stored from now on.
pub(crate) fn record(world: &World) -> Arc<Mutex<Vec<Entry>>> {
    let rows = Arc::<Mutex<Vec<Entry>>>::default();
    let stored = Arc::clone(&rows);
    world.database.observe(move |exchange| {
        let entries = entries(exchange);
        stored.lock().unwrap().extend(entries);
    });
    rows
}

fn entries(exchange: &Exchange) -> Vec<Entry> {
    let items = match exchange.operation.as_str() {
        "BatchExecuteStatement" => inserted(exchange),
        "TransactWriteItems" => committed(exchange),
        _ => Vec::new(),
    };
    let (from, to) = (us(exchange.requested_at), us(exchange.responded_at));
    let entry = |item: Value| row(&item).map(|(order, what)| Entry { from, to, order, what });
    items.into_iter().filter_map(entry).collect()
}

/// The items of the statements that were executed.
fn inserted(exchange: &Exchange) -> Vec<Value> {
    // Statements that a fault has withheld are errors in the client's response only.
    let is_partial = matches!(exchange.fault, Some(Fault::ThrottleItem | Fault::RejectItem(_)));
    let reply = if is_partial { &exchange.response } else { &exchange.executed };
    let Some(reply) = reply.as_ref().filter(|reply| reply.status.is_success()) else {
        return Vec::new();
    };
    let request: Value = serde_json::from_slice(&exchange.request).expect("a request is JSON");
    let response: Value = serde_json::from_slice(&reply.body).expect("a response is JSON");
    let statements = request["Statements"].as_array().into_iter().flatten();
    let responses = response["Responses"].as_array().into_iter().flatten();
    let executed = statements.zip(responses).filter(|(_, it)| it.get("Error").is_none());
    executed.map(|(statement, _)| item_of(statement)).collect()
}

/// The item of a statement such as `INSERT INTO "t" VALUE {'orderId':?,'stage':?}`.
fn item_of(statement: &Value) -> Value {
    let text = statement["Statement"].as_str().expect("a statement");
    let names = text.split('\'').skip(1).step_by(2).map(str::to_owned);
    let parameters = statement["Parameters"].as_array().expect("parameters");
    Value::Object(names.zip(parameters.iter().cloned()).collect())
}

/// The items of a transaction that was committed.
fn committed(exchange: &Exchange) -> Vec<Value> {
    if !exchange.executed.as_ref().is_some_and(|reply| reply.status.is_success()) {
        return Vec::new();
    }
    let request: Value = serde_json::from_slice(&exchange.request).expect("a request is JSON");
    let actions = request["TransactItems"].as_array().into_iter().flatten();
    actions.filter_map(|action| action.get("Put")?.get("Item").cloned()).collect()
}

/// The order and the row of an item of the orders table.
fn row(item: &Value) -> Option<(String, What)> {
    let text = |name: &str| item.get(name)?.get("S")?.as_str();
    let stage = StageName::from_name(text("stage")?)?;
    let body = text("event").or_else(|| text("result"))?.to_owned();
    let row = match stage {
        StageName::Release => Row::Accepted,
        StageName::Close => Row::Closed(end(&body)),
        _ => decision(&body),
    };
    Some((text("orderId")?.to_owned(), What::Row { stage, row, body }))
}

fn decision(body: &str) -> Row {
    let event = Envelope::decode(body.as_bytes()).expect("a row has an event");
    let early = match failure_code(&event.payload) {
        Some(FailureCode::OrderCancelled) => Some(Early::Cancelled),
        Some(FailureCode::OrderExpired) => Some(Early::Expired),
        _ => None,
    };
    row_of(event.event_type, early)
}

/// The event that a result of the close tells of.
fn end(body: &str) -> EventType {
    let result: Value = serde_json::from_str(body).expect("a result is JSON");
    let failed = result["failedStage"].as_str().and_then(StageName::from_name);
    let rejected = failed.and_then(|stage| stage.spec().publishes?.rejected);
    rejected.unwrap_or(EventType::OrderCompleted)
}
