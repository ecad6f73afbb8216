//! Is a part of a resource spelled as it has to be?

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::TemplateError;

/// Reads a part of the resource with this logical id.
pub(super) fn typed<T: DeserializeOwned>(
    logical_id: &str,
    value: Value,
) -> Result<T, TemplateError> {
    serde_json::from_value(value)
        .map_err(|error| TemplateError::resource(logical_id, error.to_string()))
}
