//! The engine of every Kafka-triggered stage of the order workflow.
//!
//! The guarantee: the effect of a stage on an order happens once, however often its event is
//! delivered and wherever the process stops. It rests on one row for each order and stage, inserted
//! only where there is none, together with everything the decision changes in DynamoDB, and holding
//! the exact bytes of the event to publish:
//!
//! ```text
//! record ──► decode ──► decide ──► insert row IF none for (orderId, stage) ──► publish its event ──► done
//!                                        │ there is one                            ▲
//!                                        └────────────── the stored row ───────────┘
//! crash before the insert:    nothing happened, the redelivery starts afresh
//! crash before the publish:   the redelivery finds the row and publishes the event in it
//! crash after the publish:    the redelivery publishes the same bytes again
//! ```
//!
//! A stage that moves money or stock, or ends an order, acts on the event in its publisher's row and
//! not on the record ([`Stage::ACTS_ON_STORED_EVENT`]), so that no forged, late or replayed record
//! does. Proved by `no_event_in_any_state_moves_stock_money_or_status_of_an_order`.
//!
//! It does not hold for effects outside DynamoDB: those need the order id as an idempotency key, and
//! such a stage decides only after a look-up has found no row. Proved by
//! `a_kill_between_write_and_publish_loses_and_doubles_nothing` and by the conformance suite.
//!
//! Reading order: [`stage`] (what a stage decides), [`engine`] (the pipeline of a batch), `steps`
//! (where a row key goes from each result), `single` (rows outside of a batch: intake, cancellation,
//! recovery), [`row`], [`orders_table`], `transaction`, [`lambda_event`] (the event in, the response
//! out), `publisher`.

pub mod stage;

pub mod engine;
mod groups;
mod rows;
mod single;
mod slot;
mod steps;

mod record;
pub mod row;

mod cancellation;
mod new_row;
pub mod orders_table;
mod transaction;

pub mod lambda_event;
mod publisher;

pub mod context;
pub mod digest;
pub mod error;
mod log;

pub use context::Context;
pub use digest::Digest;
pub use engine::Engine;
pub use error::TransientError;
pub use orders_table::{Clock, OrdersTable};
pub use publisher::Publisher;
pub use row::{CustomerIndexKey, Row, RowBody, RowKey};
pub use single::Accepted;
pub use stage::{Decision, Effect, Needed, Stage};
