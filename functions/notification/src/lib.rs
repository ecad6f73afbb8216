//! The notification: `PaymentCompleted` in, `OrderCompleted` or `OrderNotificationFailed` out.

mod notify;
mod settings;
mod sns;

use contracts::StageName;
use runtime::{Environment, FunctionSpec, Settings, spec::ORDERS};

pub use crate::{
    notify::{Channel, Notify},
    settings::ChannelSettings,
};

/// The stages, tables and settings that `template.yaml` must declare.
pub const SPEC: FunctionSpec = FunctionSpec {
    name: "notification",
    stages: &[StageName::Notification],
    republishes: &[],
    tables: &[ORDERS],
    read_settings: |environment| drop(read_settings(environment)),
};

/// Reads the settings: those of every function, and those of the channel.
pub fn read_settings(environment: &mut Environment) -> (Settings, ChannelSettings) {
    (Settings::read(environment), ChannelSettings::read(environment))
}
