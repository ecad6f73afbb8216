//! Resolves references in the template.
//!
//! `!Ref X` is read as the text `X` and `!GetAtt X.Y` as `X.Y`, so a text is a reference if a
//! resource or parameter has that name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Setting;
use super::document::Parameter;

/// The attribute for the addresses of the brokers, known only to a running stack.
const BOOTSTRAP_SERVERS: &str = ".BootstrapServers";

/// The local values of AWS's pseudo parameters.
const PSEUDO_PARAMETERS: [(&str, &str); 4] = [
    ("${AWS::AccountId}", "000000000000"),
    ("${AWS::Partition}", "aws"),
    ("${AWS::Region}", "us-east-1"),
    ("${AWS::StackName}", "local"),
];

/// The names that a reference can resolve to.
pub(super) struct Names<'a> {
    pub(super) parameters: &'a BTreeMap<String, Parameter>,
    pub(super) tables: BTreeSet<String>,
}

impl Names<'_> {
    /// Resolves the value of a variable; `None` for a parameter without a default.
    pub(super) fn setting(&self, text: &str) -> Option<Setting> {
        if text.ends_with(BOOTSTRAP_SERVERS) {
            return Some(Setting::BootstrapServers);
        }
        if self.tables.contains(text) {
            return Some(Setting::TableName(text.to_owned()));
        }
        match self.parameters.get(text).map(|parameter| &parameter.default) {
            None => Some(Setting::Text(self.text(text))),
            Some(Some(Value::String(default))) => Some(Setting::Text(default.clone())),
            Some(Some(default)) => Some(Setting::Text(default.to_string())),
            Some(None) => None,
        }
    }

    /// Replaces pseudo parameters and `${Parameter}` in a text of `!Sub`, the latter by its default.
    pub(super) fn text(&self, text: &str) -> String {
        let defaults = self.parameters.iter().filter_map(|(name, parameter)| {
            Some((format!("${{{name}}}"), parameter.default.as_ref()?.as_str()?))
        });
        defaults.fold(substitute(text), |text, (name, default)| text.replace(&name, default))
    }

    /// Compares the default of a parameter with a text; `None` if there is no such default.
    pub(super) fn equals(&self, parameter: &str, text: &str) -> Option<bool> {
        let default = self.parameters.get(parameter)?.default.as_ref()?.as_str()?;
        Some(default == text)
    }

    /// The whole number in a value, or in the parameter that it names.
    pub(super) fn number(&self, value: &Value) -> Option<i64> {
        let parameter = value.as_str().and_then(|name| self.parameters.get(name));
        let value = parameter.and_then(|parameter| parameter.default.as_ref()).unwrap_or(value);
        match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        }
    }
}

fn substitute(text: &str) -> String {
    let replace = |text: String, (name, value): (&str, &str)| text.replace(name, value);
    PSEUDO_PARAMETERS.into_iter().fold(text.to_owned(), replace)
}
