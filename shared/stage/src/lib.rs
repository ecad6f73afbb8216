//! The engine that runs every stage of the order workflow which a Kafka topic fires.
//!
//! The guarantee: the effect of a stage on an order happens once, however often its event is
//! delivered and wherever the process stops. It rests on one row for each order and stage, put only
//! where there is none, together with everything the decision changes in DynamoDB, and holding the
//! exact bytes of the event to publish:
//!
//! ```text
//! record ──► decode ──► decide ──► put row IF none for (orderId, stage) ──► publish its event ──► done
//!                                       │ there is one                            ▲
//!                                       └────────────── the stored row ───────────┘
//! stopped before the put:    nothing happened, the redelivery starts afresh
//! stopped before publishing: the redelivery finds the row and publishes the event in it
//! stopped after publishing:  the redelivery publishes the same bytes again
//! ```
//!
//! It does not hold for effects outside DynamoDB; those need an idempotency key of their own, for
//! which the order id serves. Proved by `a_kill_between_write_and_publish_loses_and_doubles_nothing`.
//!
//! Reading order: [`decision`] (what a stage says), [`engine`] (one batch, start to end),
//! [`mapping`] (what comes in and what is answered), [`row`], [`store`], [`reads`],
//! [`publisher`].

mod clients;
pub mod decision;
mod digest;
pub mod engine;
mod incoming;
pub mod mapping;
mod new_row;
mod outcome;
pub mod publisher;
pub mod reads;
pub mod retry;
pub mod row;
mod schedule;
pub mod store;

pub use clients::{Clients, Clock};
pub use decision::{Accept, Decision, Effect, Publishes, Stage};
pub use digest::Digest;
pub use engine::Engine;
pub use publisher::{Publication, Publisher};
pub use reads::{OrdersPage, Place};
pub use retry::Retry;
pub use row::{Content, Listed, Row};
pub use store::{Put, Store};
