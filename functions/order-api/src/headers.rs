//! Request headers: names in any case, single values and lists (RFC 9110, 5.3).
//!
//! API Gateway joins the values of a repeated header with commas, and so does the local run. So a
//! comma in a single-value header separates values.

use std::collections::HashMap;

use contracts::JsonObject;
use serde::Deserialize;
use serde_json::Value;

use crate::{problem::problem, response::Response};

/// The headers by lower-case name.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Option<JsonObject>")]
pub(crate) struct Headers(HashMap<String, String>);

impl From<Option<JsonObject>> for Headers {
    /// A value that is not a string counts as missing.
    fn from(fields: Option<JsonObject>) -> Self {
        let mut headers: HashMap<String, String> = HashMap::new();
        for (name, value) in fields.into_iter().flatten() {
            let Value::String(value) = value else { continue };
            let joined = headers.entry(name.to_ascii_lowercase()).or_default();
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(&value);
        }
        Self(headers)
    }
}

impl Headers {
    /// A header that may be a list; its values are separated by commas.
    pub(crate) fn list(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A single-value header. Equal values count as one, different values are rejected.
    pub(crate) fn single(&self, name: &str) -> Result<Option<&str>, Response> {
        let Some(joined) = self.list(name) else { return Ok(None) };
        let mut values = joined.split(',').map(|value| value.trim_matches([' ', '\t']));
        let first = values.next().unwrap_or_default();
        if values.all(|value| value == first && !first.is_empty()) {
            return Ok(Some(first));
        }
        let detail = format!("{name} must have one value: send it once, and without a comma in it");
        Err(problem(400, &detail))
    }

    /// A single value of 1 to `max_length` printable ASCII characters without a comma.
    pub(crate) fn printable(
        &self,
        name: &str,
        max_length: usize,
    ) -> Result<Option<&str>, Response> {
        let Some(value) = self.single(name)? else { return Ok(None) };
        let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_printable && (1..=max_length).contains(&value.len()) {
            return Ok(Some(value));
        }
        let detail = format!("{name} must have 1 to {max_length} printable ASCII characters");
        Err(problem(400, &detail))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(json: &Value) -> Headers {
        serde_json::from_value(json.clone()).unwrap()
    }

    #[test]
    fn names_are_found_in_any_case() {
        for name in ["idempotency-key", "Idempotency-Key", "IDEMPOTENCY-KEY"] {
            let headers = headers(&json!({ name: "k-1" }));
            assert_eq!(headers.single("idempotency-key").unwrap(), Some("k-1"), "{name}");
        }
        let both = headers(&json!({ "Prefer": "wait=1", "prefer": "respond-async" }));
        assert_eq!(both.list("prefer").map(str::len), Some("wait=1,respond-async".len()));
        assert!(headers(&json!({ "X-Key": "a", "x-key": "b" })).single("x-key").is_err());
    }

    #[test]
    fn equal_values_are_one_and_different_ones_are_refused() {
        for (joined, value) in [("k", "k"), ("k,k", "k"), ("k, k\t,k", "k"), (" a b ", "a b")] {
            let headers = headers(&json!({ "x-key": joined }));
            assert_eq!(headers.single("x-key").unwrap(), Some(value), "{joined}");
        }
        for joined in ["a,b", "k,k,other", "k,", ",k", "k,K", ","] {
            let refused = headers(&json!({ "x-key": joined })).single("x-key").unwrap_err();
            assert_eq!(refused.status, 400);
            assert!(refused.body().contains("x-key must have one value"), "{joined}");
        }
        assert_eq!(headers(&json!({})).single("x-key").unwrap(), None);
    }

    #[test]
    fn a_malformed_header_affects_no_other() {
        for malformed in [json!("Müller"), json!(null), json!(7), json!(["a"]), json!({})] {
            let headers = headers(&json!({ "user-agent": malformed, "prefer": "wait=1" }));
            assert_eq!(headers.list("prefer"), Some("wait=1"), "{malformed}");
        }
        assert_eq!(headers(&json!(null)).list("prefer"), None);
    }

    #[test]
    fn a_name_in_a_header_is_printable_and_bounded() {
        for invalid in ["", " ", ",", "tab\there", "ü", "four"] {
            assert!(
                headers(&json!({ "x-name": invalid })).printable("x-name", 3).is_err(),
                "{invalid}"
            );
        }
        let headers = headers(&json!({ "x-name": "a b" }));
        assert_eq!(headers.printable("x-name", 3).unwrap(), Some("a b"));
        assert_eq!(headers.printable("x-other", 3).unwrap(), None);
    }
}
