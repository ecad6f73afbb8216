//! The faults, and the requests that they apply to.

use std::time::Duration;

/// A fault that the proxy injects into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Executes the request, and responds when the test permits.
    HoldResponse,
    /// Executes the request, and responds with 500.
    LoseResponse,
    /// Executes the request, and cuts the connection.
    CutResponse,
    /// Executes the request, and responds after this time.
    LateResponse(Duration),
    /// Executes the request after this time, also if its client has given up.
    Delay(Duration),
    /// Cuts the connection.
    Reset,
    /// Rejects the request with `ThrottlingException`.
    ThrottleRequest,
    /// Rejects the request.
    Reject(Rejection),
    /// Rejects single statements of a batch with `ThrottlingError`, or cancels a transaction with
    /// that reason for single actions.
    ThrottleItem,
    /// Like [`Fault::ThrottleItem`], with another code.
    RejectItem(ItemRejection),
    /// Lists single keys of a `BatchGetItem` as unprocessed.
    UnprocessedKeys,
    /// Rejects writes beyond the limits of an item.
    ItemLimit,
}

/// An error of a whole request, which is not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    ProvisionedThroughputExceeded,
    RequestLimitExceeded,
    TransactionInProgress,
    /// 500.
    InternalServerError,
    /// 503.
    ServiceUnavailable,
}

/// An error of one statement or of one action, which is not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemRejection {
    TransactionConflict,
    ProvisionedThroughputExceeded,
    /// A conflict for the first of several, throttling for the next, and so on.
    Mixed,
    /// Of statements only.
    RequestLimitExceeded,
    /// Of statements only.
    InternalServerError,
}

const STATEMENTS: &str = "BatchExecuteStatement";
const TRANSACTION: &str = "TransactWriteItems";

impl Fault {
    /// A short name, for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HoldResponse => "executed, response withheld",
            Self::LoseResponse => "executed, then 500",
            Self::CutResponse => "executed, then cut",
            Self::LateResponse(_) => "executed, late response",
            Self::Delay(_) => "executed late",
            Self::Reset => "connection reset",
            Self::ThrottleRequest => "ThrottlingException",
            Self::Reject(Rejection::ProvisionedThroughputExceeded) => {
                "ProvisionedThroughputExceededException"
            }
            Self::Reject(Rejection::RequestLimitExceeded) => "RequestLimitExceeded",
            Self::Reject(Rejection::TransactionInProgress) => "TransactionInProgressException",
            Self::Reject(Rejection::InternalServerError) => "500",
            Self::Reject(Rejection::ServiceUnavailable) => "503",
            Self::ThrottleItem => "one: ThrottlingError",
            Self::RejectItem(ItemRejection::TransactionConflict) => "one: TransactionConflict",
            Self::RejectItem(ItemRejection::ProvisionedThroughputExceeded) => {
                "one: ProvisionedThroughputExceeded"
            }
            Self::RejectItem(ItemRejection::Mixed) => "mixed reasons",
            Self::RejectItem(ItemRejection::RequestLimitExceeded) => "one: RequestLimitExceeded",
            Self::RejectItem(ItemRejection::InternalServerError) => "one: InternalServerError",
            Self::UnprocessedKeys => "UnprocessedKeys",
            Self::ItemLimit => "limit of an item",
        }
    }

    /// True if DynamoDB may respond so to this operation.
    #[must_use]
    pub fn applies_to(self, operation: &str) -> bool {
        match self {
            Self::Reject(Rejection::TransactionInProgress) => operation == TRANSACTION,
            Self::RejectItem(
                ItemRejection::RequestLimitExceeded | ItemRejection::InternalServerError,
            ) => operation == STATEMENTS,
            Self::ThrottleItem | Self::RejectItem(_) => {
                operation == STATEMENTS || operation == TRANSACTION
            }
            Self::UnprocessedKeys => operation == "BatchGetItem",
            Self::ItemLimit => false,
            _ => true,
        }
    }

    /// The code of the n-th rejected statement or action.
    pub(super) const fn item_code(self, number: usize) -> Option<&'static str> {
        match self {
            Self::RejectItem(ItemRejection::Mixed) if number.is_multiple_of(2) => {
                Some("TransactionConflict")
            }
            Self::RejectItem(ItemRejection::Mixed) => Some("ThrottlingError"),
            Self::ThrottleItem => Some("ThrottlingError"),
            Self::RejectItem(ItemRejection::TransactionConflict) => Some("TransactionConflict"),
            Self::RejectItem(ItemRejection::ProvisionedThroughputExceeded) => {
                Some("ProvisionedThroughputExceeded")
            }
            Self::RejectItem(ItemRejection::RequestLimitExceeded) => Some("RequestLimitExceeded"),
            Self::RejectItem(ItemRejection::InternalServerError) => Some("InternalServerError"),
            _ => None,
        }
    }
}
