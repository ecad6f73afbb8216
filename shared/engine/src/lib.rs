//! The engine of every Kafka-triggered stage of the order workflow.
//!
//! The guarantee: the effect of a stage on an order happens once, however often its event is
//! delivered and wherever the process stops. The engine inserts one row for each order and stage,
//! only if there is none, and atomically with everything that the decision changes in DynamoDB. The
//! row holds the exact bytes of the event to publish:
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
//! A stage that moves money or stock, or ends an order, acts on the event in its publisher's row
//! and not on the record ([`Stage::ACTS_ON_STORED_EVENT`]), so that a forged, late or replayed
//! record has no effect. Proved by `no_event_in_any_state_moves_stock_money_or_status_of_an_order`.
//!
//! Effects outside DynamoDB are not covered: they need the order id as an idempotency key, and such
//! a stage decides only after a look-up has found no row. Proved by
//! `a_kill_between_write_and_publish_loses_and_doubles_nothing` and by the conformance suite.
//!
//! Reading order: [`stage`] (the trait of a stage), [`engine`] (the pipeline of a batch), `steps`
//! (the next step after each result), `single` (rows outside of a batch: intake, cancellation,
//! recovery), [`row`], [`orders_table`], `transaction`, [`lambda_event`] (the event in, the
//! response out), `publisher`, [`span`].

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
mod verify;

mod dead_letter;
pub mod lambda_event;
mod publisher;

pub mod context;
pub mod digest;
pub mod error;
pub mod failpoint;
mod log;
pub mod span;

pub use context::Context;
pub use digest::{Digest, ERASED};
pub use engine::Engine;
pub use error::TransientError;
pub use orders_table::{Clock, OrdersTable};
pub use publisher::Publisher;
pub use row::{CustomerIndexKey, Row, RowBody, RowKey};
pub use single::Accepted;
pub use span::{SpanFailure, StageSpan, Tracer};
pub use stage::{Decision, Effect, Needed, Stage};
