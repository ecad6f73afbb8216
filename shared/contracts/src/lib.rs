//! The contract of the order workflow: topics, events, the workflow table, money, failures.
//!
//! Every event has the same envelope of five fields ([`Envelope`]). [`STAGES`] is the workflow
//! table: the events that each stage consumes and publishes. The names of topics, stages and events
//! are written in these three enums and nowhere else in the tree.
//!
//! Envelope and payload are read one level deep ([`Object`]): values stay JSON text, typed views
//! ([`order`]) parse only the fields that a rule needs, and a stage appends its own fields. So an
//! unknown field, and a number of any precision, reaches `OrderCompleted` unchanged. Proved by
//! `unknown_fields_reach_the_next_event_as_the_text_they_were`.
//!
//! Nothing here reads a clock, talks to AWS or Kafka, or awaits.

pub mod stage;

pub mod event_type;
pub mod topic;

pub mod envelope;
pub mod nesting;
pub mod object;
pub mod order;
pub mod order_id;

mod decimal;
pub mod money;

pub mod errors;
pub mod failure;
pub mod stored_event;
pub mod time;
pub mod trace;

pub use envelope::{Envelope, MalformedEvent};
pub use errors::Errors;
pub use event_type::EventType;
pub use failure::{Failure, FailureCode, FailureReason, RecordPosition};
pub use money::Money;
pub use object::{Fields, Object};
pub use order::Item;
pub use order_id::OrderId;
pub use stage::{Consumes, Publishes, STAGES, StageName, StageSpec, happy_path};
pub use stored_event::StoredEvent;
pub use time::parse_rfc3339;
pub use topic::{Topic, TopicNames};
pub use trace::TraceContext;

/// A fully parsed payload, for code outside the pipeline.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
