//! The kinds of faults of the database.

use std::time::Duration;

use faults::database_proxy::{Fault, ItemRejection, Rejection};

/// Below the functions' time limit for an attempt, and above it.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_millis(3_500);

/// A kind of fault of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DatabaseFault {
    ThrottledRequest,
    ThrottledItem,
    Conflict,
    Error,
    Reset,
    Delay,
    LostResponse,
    CutResponse,
    LateResponse,
    UnprocessedKeys,
}

impl DatabaseFault {
    pub(crate) const ALL: [Self; 10] = [
        Self::ThrottledRequest,
        Self::ThrottledItem,
        Self::Conflict,
        Self::Error,
        Self::Reset,
        Self::Delay,
        Self::LostResponse,
        Self::CutResponse,
        Self::LateResponse,
        Self::UnprocessedKeys,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ThrottledRequest => "database: request throttled",
            Self::ThrottledItem => "database: single items throttled",
            Self::Conflict => "database: transaction conflict",
            Self::Error => "database: 500 or 503, not applied",
            Self::Reset => "database: connection reset",
            Self::Delay => "database: delayed",
            Self::LostResponse => "database: applied, then 500",
            Self::CutResponse => "database: applied, then cut",
            Self::LateResponse => "database: applied, late response",
            Self::UnprocessedKeys => "database: UnprocessedKeys",
        }
    }

    /// The faults of this kind.
    pub(crate) const fn variants(self) -> &'static [Fault] {
        match self {
            Self::ThrottledRequest => &[
                Fault::ThrottleRequest,
                Fault::Reject(Rejection::ProvisionedThroughputExceeded),
                Fault::Reject(Rejection::RequestLimitExceeded),
            ],
            Self::ThrottledItem => &[
                Fault::ThrottleItem,
                Fault::RejectItem(ItemRejection::ProvisionedThroughputExceeded),
                Fault::RejectItem(ItemRejection::RequestLimitExceeded),
                Fault::RejectItem(ItemRejection::InternalServerError),
            ],
            Self::Conflict => &[
                Fault::RejectItem(ItemRejection::TransactionConflict),
                Fault::Reject(Rejection::TransactionInProgress),
            ],
            Self::Error => &[
                Fault::Reject(Rejection::InternalServerError),
                Fault::Reject(Rejection::ServiceUnavailable),
            ],
            Self::Reset => &[Fault::Reset],
            Self::Delay => &[Fault::Delay(SHORT), Fault::Delay(LONG)],
            Self::LostResponse => &[Fault::LoseResponse],
            Self::CutResponse => &[Fault::CutResponse],
            Self::LateResponse => &[Fault::LateResponse(LONG)],
            Self::UnprocessedKeys => &[Fault::UnprocessedKeys],
        }
    }

    pub(crate) fn of(fault: Fault) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.variants().contains(&fault))
    }
}

/// A fault for a part of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) fault: Fault,
    /// Of a thousand requests that may have the fault.
    pub(crate) per_thousand: u32,
    /// Decides which requests.
    pub(crate) seed: u64,
}
