//! Kafka clients of the order workflow: configuration, authentication, and the one producer.
//!
//! Against Amazon MSK a client authenticates with IAM: over TLS it sends a token, a URL signed with
//! the credentials of the process and valid for 15 minutes. Against brokers on one machine it does
//! not authenticate, which must be configured: nothing falls back to plaintext.

mod auth;
mod config;
mod consumer;
mod producer;

pub use auth::{AuthError, Context, MskIam, TOKEN_LIFE};
pub use config::{Auth, Brokers, bootstrap_servers};
pub use producer::{Delivery, OutgoingRecord, ProduceError, Producer};

/// True for a build that can authenticate at MSK.
pub const HAS_TLS: bool = cfg!(feature = "tls");
