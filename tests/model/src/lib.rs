//! A model of the workflow's protocol, searched exhaustively with `stateright`, and the replay of
//! real runs against its transition relation.
//!
//! Modelled: the rows, records and requests of an order at every stage, from the intake to the
//! close, with cancellation, expiry, recovery, release and refund; processes that are between any
//! two of their requests; stock, balances and a payment provider outside. Records come in any
//! order, late, twice, and to two processes at once; processes stop anywhere; responses are lost;
//! deliveries are reported failed though written; records become dead letters; events are forged;
//! the provider forgets its keys. Faults are bounded in number, and every interleaving with them is
//! visited.
//!
//! Not modelled: batches (rows of a group share a transaction, but no decision), a look-up that
//! reads its rows one by one, malformed records, events that are too large, rows that expire, two
//! items in one order, a notification that fails, and the clock.
//!
//! `Protocol` in `protocol.rs` is the transition relation; `steps.rs` lists what is possible,
//! `turn.rs` what each step does. A counterexample is the list of steps from the first state to one
//! that breaks the rule; `FAULT` marks what the world did, the other steps are the protocol's own.
#![expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "an enum without fields is the index of its own array"
)]

pub mod configuration;
mod display;
mod early;
mod fault;
mod insert;
mod mutant;
mod order;
mod outside;
mod progress;
mod properties;
mod protocol;
pub mod replay;
mod rows;
mod rule;
mod steps;
mod task;
mod turn;
pub mod worlds;

pub use crate::{
    fault::Fault,
    mutant::Mutant,
    order::{Decided, Early, Order, Phase, Row, Slot, Terms},
    outside::{Key, Payment},
    protocol::{Protocol, Shared, Step, Stock},
    rows::{event_of, row_of},
    rule::Rule,
    task::Task,
    turn::Visible,
};
