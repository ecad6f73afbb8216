//! The faults that a soak injects.

use std::fmt;
use std::time::Duration;

use contracts::{EventType, Topic};

use super::database_fault::{DatabaseFault, Share};

/// A fault with its target and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL to one process of a function, or to all.
    Kill { function: String, is_all: bool },
    /// SIGSTOP to a process in the middle of an invocation, and SIGCONT after this time.
    Freeze { function: String, lasts: Duration },
    /// The broker closes its connections and refuses new ones.
    BrokerAway { lasts: Duration },
    /// Every request to the broker takes longer.
    BrokerSlow { round_trip: Duration, lasts: Duration },
    /// The broker rejects the next requests of this kind.
    BrokerErrors { request: BrokerRequest, count: usize },
    /// A part of the requests to the database meets a fault.
    Database { kind: DatabaseFault, share: Share, lasts: Duration },
    /// A mapping does not invoke its function.
    Pause { mapping: String, lasts: Duration },
    /// Records are written again, out of order; early ones or the latest.
    Redelivery { count: usize, is_late: bool, draw: u64 },
    /// A record that is not an event.
    Malformed { topic: Topic, draw: u64 },
    /// An event that no stage has stored, about an order of this run or about none.
    Forged { event_type: EventType, is_known: bool, draw: u64 },
    /// An event of an order with other content.
    ConflictingDuplicate { topic: Topic, draw: u64 },
    /// The customer cancels the order after this time.
    Cancellation { order: u64, after: Duration },
    /// The order's request is sent twice at once, with one idempotency key.
    RepeatedRequest { order: u64 },
    /// The order's `OrderCreated` record is published twice.
    RepeatedRecord { order: u64 },
    /// The client closes its connection after this time, and never comes back.
    ClientGone { order: u64, after: Duration },
}

/// The requests that the broker rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerRequest {
    Produce,
    Fetch,
    OffsetCommit,
    Metadata,
}

/// The kinds of faults, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    Freeze,
    BrokerAway,
    BrokerSlow,
    BrokerErrors,
    Database(DatabaseFault),
    /// Counted, not planned: the limits always hold.
    ItemLimit,
    Pause,
    Redelivery,
    Malformed,
    Forged,
    ConflictingDuplicate,
    Cancellation,
    RepeatedRequest,
    RepeatedRecord,
    ClientGone,
}

impl Kind {
    /// The kinds that come at random times; the others belong to orders.
    pub(crate) fn timed() -> impl Iterator<Item = Self> {
        let database = DatabaseFault::ALL.iter().map(|fault| Self::Database(*fault));
        let others = [
            Self::Kill,
            Self::Freeze,
            Self::BrokerAway,
            Self::BrokerSlow,
            Self::BrokerErrors,
            Self::Pause,
            Self::Redelivery,
            Self::Malformed,
            Self::Forged,
            Self::ConflictingDuplicate,
        ];
        others.into_iter().chain(database)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "process killed",
            Self::Freeze => "process frozen in an invocation",
            Self::BrokerAway => "broker away",
            Self::BrokerSlow => "broker slow",
            Self::BrokerErrors => "broker rejects requests",
            Self::Database(fault) => fault.name(),
            Self::ItemLimit => "database: limits of an item",
            Self::Pause => "mapping paused",
            Self::Redelivery => "record written again",
            Self::Malformed => "malformed record",
            Self::Forged => "forged event",
            Self::ConflictingDuplicate => "conflicting duplicate",
            Self::Cancellation => "order cancelled",
            Self::RepeatedRequest => "request repeated",
            Self::RepeatedRecord => "OrderCreated published twice",
            Self::ClientGone => "client gone",
        }
    }
}

impl Fault {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Kill { .. } => Kind::Kill,
            Self::Freeze { .. } => Kind::Freeze,
            Self::BrokerAway { .. } => Kind::BrokerAway,
            Self::BrokerSlow { .. } => Kind::BrokerSlow,
            Self::BrokerErrors { .. } => Kind::BrokerErrors,
            Self::Database { kind, .. } => Kind::Database(*kind),
            Self::Pause { .. } => Kind::Pause,
            Self::Redelivery { .. } => Kind::Redelivery,
            Self::Malformed { .. } => Kind::Malformed,
            Self::Forged { .. } => Kind::Forged,
            Self::ConflictingDuplicate { .. } => Kind::ConflictingDuplicate,
            Self::Cancellation { .. } => Kind::Cancellation,
            Self::RepeatedRequest { .. } => Kind::RepeatedRequest,
            Self::RepeatedRecord { .. } => Kind::RepeatedRecord,
            Self::ClientGone { .. } => Kind::ClientGone,
        }
    }

    /// The time for which it lasts; zero for a moment.
    pub(crate) const fn lasts(&self) -> Duration {
        match self {
            Self::Freeze { lasts, .. }
            | Self::BrokerAway { lasts }
            | Self::BrokerSlow { lasts, .. }
            | Self::Database { lasts, .. }
            | Self::Pause { lasts, .. } => *lasts,
            _ => Duration::ZERO,
        }
    }
}

/// The target and the parameters.
impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { function, is_all } => {
                write!(formatter, "{function}, {}", if *is_all { "all" } else { "one" })
            }
            Self::Freeze { function, lasts } => write!(formatter, "{function} for {lasts:?}"),
            Self::BrokerAway { lasts } => write!(formatter, "for {lasts:?}"),
            Self::BrokerSlow { round_trip, lasts } => {
                write!(formatter, "{round_trip:?} a request for {lasts:?}")
            }
            Self::BrokerErrors { request, count } => write!(formatter, "{count} x {request:?}"),
            Self::Database { share: Share { fault, per_thousand, seed }, lasts, .. } => {
                let name = fault.name();
                write!(formatter, "{name}, {per_thousand} of 1,000 for {lasts:?}, seed {seed:016x}")
            }
            Self::Pause { mapping, lasts } => write!(formatter, "{mapping} for {lasts:?}"),
            Self::Redelivery { count, is_late, draw } => {
                let which = if *is_late { "early" } else { "latest" };
                write!(formatter, "{count} of the {which} records, draw {draw:016x}")
            }
            Self::Malformed { topic, draw } => write!(formatter, "on {topic}, draw {draw:016x}"),
            Self::Forged { event_type, is_known, draw } => {
                let whose = if *is_known { "an order" } else { "no order" };
                write!(formatter, "{event_type} of {whose}, draw {draw:016x}")
            }
            Self::ConflictingDuplicate { topic, draw } => {
                write!(formatter, "on {topic}, draw {draw:016x}")
            }
            Self::Cancellation { order, after } | Self::ClientGone { order, after } => {
                write!(formatter, "order number {order} after {after:?}")
            }
            Self::RepeatedRequest { order } | Self::RepeatedRecord { order } => {
                write!(formatter, "order number {order}")
            }
        }
    }
}
