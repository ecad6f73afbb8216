//! What travels between the stages of the order workflow, and nothing about how it travels.
//!
//! Every event has the same envelope of five fields ([`Envelope`]); its type ([`EventType`]) says
//! on which topic it belongs ([`Topic`]) and which stage publishes it ([`StageName`]). These three
//! enums are the only places in the tree where the names of events, topics and stages are spelled.
//!
//! The payload stays the JSON object that it arrived as. Typed views ([`order`]) are read from it
//! and a stage adds fields to it, so a field that nobody here knows, and a number of any
//! precision, reaches `OrderCompleted` as it was sent. Proved by
//! `what_nobody_knows_reaches_the_next_event_unchanged`.
//!
//! Nothing here reads a clock, talks to AWS or Kafka, or awaits.
//!
//! Reading order: [`event_type`], [`topic`], [`envelope`], [`order`], [`money`], [`failure`],
//! [`outgoing`].

pub mod envelope;
pub mod event_type;
pub mod failure;
pub mod money;
pub mod nesting;
pub mod order;
pub mod order_id;
pub mod outgoing;
pub mod stage_name;
pub mod topic;

pub use envelope::{Envelope, MalformedEvent};
pub use event_type::EventType;
pub use failure::{FailureCode, FailureReason, Source};
pub use money::Money;
pub use order::Item;
pub use order_id::OrderId;
pub use outgoing::OutgoingEvent;
pub use stage_name::StageName;
pub use topic::Topic;

/// A JSON object that keeps the order of its fields: what a payload is.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
