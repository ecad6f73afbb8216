//! What a function is around its stages: settings, clients, logs, and the loop that answers Lambda.
//!
//! Every `main` reads the same from top to bottom: [`log_as_json`], [`Settings`], [`connect`], and
//! [`run`] with the function's stages.

mod connect;
mod run;
mod settings;

pub use connect::{aws_config, connect, connect_with};
pub use run::{handle_batch, log_as_json, run};
pub use settings::{Environment, KafkaSignIn, Settings, SettingsError};
