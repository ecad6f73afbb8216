//! Deserializes a part of a resource; errors name the resource.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::TemplateError;

pub(super) fn typed<T: DeserializeOwned>(
    logical_id: &str,
    value: Value,
) -> Result<T, TemplateError> {
    serde_json::from_value(value)
        .map_err(|error| TemplateError::resource(logical_id, error.to_string()))
}
