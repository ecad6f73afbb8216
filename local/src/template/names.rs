//! What does a reference in the template stand for?
//!
//! `!Ref X` arrives as the text `X` and `!GetAtt X.Y` as `X.Y`, so a text is a reference when
//! something has that name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Setting;
use super::document::Parameter;

/// The attribute that tells where the brokers are, which only a running stack knows.
const BOOTSTRAP_SERVERS: &str = ".BootstrapServers";

/// How the template calls its stack, whose name only a deployment knows.
const STACK_NAME: &str = "${AWS::StackName}";

/// What the local run puts there.
const LOCAL_STACK_NAME: &str = "order-workflow";

/// The names that a reference can mean.
pub(super) struct Names<'a> {
    pub(super) parameters: &'a BTreeMap<String, Parameter>,
    pub(super) tables: BTreeSet<String>,
}

impl Names<'_> {
    /// What a text in the environment stands for; `None` for a parameter without a value.
    pub(super) fn setting(&self, text: &str) -> Option<Setting> {
        if text.ends_with(BOOTSTRAP_SERVERS) {
            return Some(Setting::BootstrapServers);
        }
        if self.tables.contains(text) {
            return Some(Setting::TableName(text.to_owned()));
        }
        match self.parameters.get(text).map(|parameter| &parameter.default) {
            None => Some(Setting::Text(text.to_owned())),
            Some(Some(Value::String(default))) => Some(Setting::Text(default.clone())),
            Some(Some(default)) => Some(Setting::Text(default.to_string())),
            Some(None) => None,
        }
    }

    /// The whole number that a value, or the parameter it names, holds.
    pub(super) fn number(&self, value: &Value) -> Option<i64> {
        let parameter = value.as_str().and_then(|name| self.parameters.get(name));
        let value = parameter.and_then(|parameter| parameter.default.as_ref()).unwrap_or(value);
        match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        }
    }
}

/// A text of `!Sub` with the stack's name in its place.
pub(super) fn filled_in(text: &str) -> String {
    text.replace(STACK_NAME, LOCAL_STACK_NAME)
}
