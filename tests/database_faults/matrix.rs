//! The statements of every scenario, and the faults of each.

use std::time::Duration;

use faults::database_proxy::{Fault, ItemRejection, Rejection};

use crate::{
    cell::{Cell, Target},
    scenario::Scenario,
    subject::Subject,
};

/// Below the functions' time limit for an attempt.
const SHORT: Duration = Duration::from_millis(200);
/// Above it: 3 seconds.
const LONG: Duration = Duration::from_millis(3_300);

const FAULTS: [Fault; 19] = [
    Fault::ThrottleRequest,
    Fault::Reject(Rejection::ProvisionedThroughputExceeded),
    Fault::Reject(Rejection::RequestLimitExceeded),
    Fault::Reject(Rejection::TransactionInProgress),
    Fault::Reject(Rejection::InternalServerError),
    Fault::Reject(Rejection::ServiceUnavailable),
    Fault::ThrottleItem,
    Fault::RejectItem(ItemRejection::TransactionConflict),
    Fault::RejectItem(ItemRejection::ProvisionedThroughputExceeded),
    Fault::RejectItem(ItemRejection::Mixed),
    Fault::RejectItem(ItemRejection::RequestLimitExceeded),
    Fault::RejectItem(ItemRejection::InternalServerError),
    Fault::UnprocessedKeys,
    Fault::Delay(SHORT),
    Fault::Delay(LONG),
    Fault::LateResponse(LONG),
    Fault::Reset,
    Fault::LoseResponse,
    Fault::CutResponse,
];

/// Each statement with a scenario that sends it.
pub(crate) const MATRIX: &[(Scenario, &str)] = &[
    (Scenario::Started, INTAKE_ROW),
    // Intake.
    (Scenario::Completed, "INSERT OrdersTable order-api (acceptedAt customerId event intake)"),
    // Validation.
    (Scenario::Completed, "INSERT OrdersTable validator (event)"),
    (Scenario::Malformed, "INSERT OrdersTable validator (event)"),
    (Scenario::Redelivered, "BatchGetItem OrdersTable [validator] all"),
    (Scenario::Expired, "BatchGetItem OrdersTable [validator] all"),
    (Scenario::Expired, "Transact: Put OrdersTable validator (event)"),
    // Reservation.
    (Scenario::Completed, RESERVATION),
    (Scenario::OutOfStock, RESERVATION),
    (Scenario::OutOfStock, "INSERT OrdersTable inventory (event)"),
    (Scenario::Redelivered, "BatchGetItem OrdersTable [inventory] all"),
    // Payment.
    (Scenario::Completed, "BatchGetItem OrdersTable [inventory payment] all"),
    (Scenario::Completed, CHARGE),
    (Scenario::Declined, CHARGE),
    (Scenario::Declined, "INSERT OrdersTable payment (event)"),
    // Notification.
    (Scenario::Completed, "BatchGetItem OrdersTable [notification payment] all"),
    (Scenario::Completed, "INSERT OrdersTable notification (event)"),
    // Release.
    (Scenario::Declined, "BatchGetItem OrdersTable [inventory payment release] all"),
    (Scenario::Declined, RELEASE),
    // Close.
    (Scenario::Completed, "BatchGetItem OrdersTable [close notification order-api] all"),
    (Scenario::Invalid, "BatchGetItem OrdersTable [close order-api validator] all"),
    (Scenario::OutOfStock, "BatchGetItem OrdersTable [close inventory order-api validator] all"),
    (Scenario::Declined, "BatchGetItem OrdersTable [close inventory order-api payment] all"),
    (Scenario::Completed, "INSERT OrdersTable close (result)"),
    // The stage's own row, after a lost response.
    (Scenario::Completed, INTAKE_ROW),
    (Scenario::Completed, PAYMENT_ROW),
    (Scenario::Completed, NOTIFICATION_ROW),
    (Scenario::Declined, RELEASE_ROW),
    // Reading.
    (Scenario::Completed, "Query OrdersTable  orderId = :orderId"),
    (
        Scenario::Listed,
        "Query OrdersTable OrdersByCustomer customerId = :customerId AND acceptedAt > :since",
    ),
    (Scenario::Listed, "BatchGetItem OrdersTable [close] all"),
    // Cancellation.
    (Scenario::Cancelled, "Query OrdersTable  orderId = :orderId"),
    (Scenario::Cancelled, "INSERT OrdersTable payment (event)"),
    (Scenario::Cancelled, RELEASE),
    // Recovery.
    (
        Scenario::Recovered,
        "Query OrdersTable OrdersByIntake intake = :intake AND acceptedAt BETWEEN :from AND :to",
    ),
    (Scenario::Recovered, "BatchGetItem OrdersTable [close] orderId, #result"),
    (
        Scenario::Recovered,
        "BatchGetItem OrdersTable [close inventory notification order-api payment validator] all",
    ),
    (Scenario::Unreleased, "BatchGetItem OrdersTable [inventory payment release] all"),
];

const RESERVATION: &str = "Transact: Put OrdersTable inventory (event) + Update StockTable \
                           ADD available :add0, reserved :add1 if available >= :needs";
const CHARGE: &str = "Transact: Put OrdersTable payment (event) + Update AccountsTable \
                      ADD balance :add0 if balance >= :needs";
const RELEASE: &str = "Transact: Put OrdersTable release (result) + Update StockTable \
                       ADD available :add0, reserved :add1 if reserved >= :needs";

/// Statements that follow a lost response to another one.
const FOLLOWING: &[(&str, &str)] = &[
    (INTAKE_ROW, "INSERT OrdersTable order-api (acceptedAt customerId event intake)"),
    (PAYMENT_ROW, CHARGE),
    (NOTIFICATION_ROW, "INSERT OrdersTable notification (event)"),
    (RELEASE_ROW, RELEASE),
];

const INTAKE_ROW: &str = "BatchGetItem OrdersTable [order-api] all";
const PAYMENT_ROW: &str = "BatchGetItem OrdersTable [payment] all";
const NOTIFICATION_ROW: &str = "BatchGetItem OrdersTable [notification] all";
const RELEASE_ROW: &str = "BatchGetItem OrdersTable [release] all";

/// The statement whose response must be lost so that the scenario sends this one.
pub(crate) fn cause(scenario: Scenario, statement: &str) -> Option<&'static str> {
    // A process that starts reads a row, too.
    let mut following = FOLLOWING.iter().filter(|_| scenario != Scenario::Started);
    following.find(|(following, _)| *following == statement).map(|(_, cause)| *cause)
}

/// Every statement with every fault that it may have.
pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    // By fault, because orders of one request may all meet the same fault.
    for fault in FAULTS {
        for (scenario, statement) in MATRIX {
            if !fault.applies_to(operation(statement)) {
                continue;
            }
            for target in targets(statement, fault) {
                let subject = Subject::new(&cells.len().to_string(), *scenario);
                cells.push(Cell { subject, statement, fault, target: *target });
            }
        }
    }
    cells
}

/// The operation of a statement, by its name.
fn operation(statement: &str) -> &str {
    match statement.split(' ').next().unwrap_or_default() {
        "INSERT" => "BatchExecuteStatement",
        "Transact:" => "TransactWriteItems",
        operation => operation,
    }
}

fn targets(statement: &str, fault: Fault) -> &'static [Target] {
    let is_of_items = matches!(fault, Fault::ThrottleItem | Fault::RejectItem(_));
    match is_of_items && statement.contains("+ Update") {
        true => &[Target::Row, Target::Item, Target::Both],
        false => &[Target::Row],
    }
}
