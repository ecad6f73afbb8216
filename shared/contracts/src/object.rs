//! A JSON object read one level deep: its fields in order, each value as JSON text.
//!
//! Values are parsed only when a rule needs them, so numbers and escapes pass unchanged, and no key
//! inside a value has an effect.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The most fields of one object. An object that fits a row of 400 KB has fewer.
const MAX_FIELDS: usize = 65_536;

/// The one escape that is valid in JSON and not in UTF-8.
const LONE_SURROGATE: &str = "a lone surrogate (\\ud800 to \\udfff without its pair)";

/// The most characters of a field name in an error text.
const MAX_NAME_IN_ERROR: usize = 64;

/// A JSON object whose values are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    text: &'a str,
    fields: Vec<(Cow<'a, str>, &'a str)>,
}

/// Fields that a stage adds to an object, with their values as JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Adds a string field.
    #[must_use]
    pub fn with_string(self, name: &'static str, value: &str) -> Self {
        self.with_json(name, quoted(value))
    }

    /// Adds a field given as JSON text.
    #[must_use]
    pub fn with_json(mut self, name: &'static str, value: String) -> Self {
        self.0.push((name, value));
        self
    }

    /// The JSON text of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = "{".to_owned();
        self.push_to(&mut json);
        json.push('}');
        json
    }

    fn push_to(&self, json: &mut String) {
        for (name, value) in &self.0 {
            push_field(json, name, value);
        }
    }
}

/// The text is not a JSON object, or a field occurs twice.
///
/// A repeated field is malformed: two parsers may use different occurrences.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAnObject(String);

impl<'a> Object<'a> {
    /// Reads an object one level deep.
    ///
    /// # Errors
    /// If the text is not JSON, not an object, or has a repeated field.
    pub fn parse(text: &'a str) -> Result<Self, NotAnObject> {
        let FieldTexts(fields) =
            serde_json::from_str(text).map_err(|error| describe(text, &error))?;
        match repeated(&fields) {
            Some(name) => Err(NotAnObject(format!("field {:?} occurs twice", shortened(name)))),
            None => Ok(Self { text: text.trim_ascii(), fields }),
        }
    }

    /// The JSON text of the whole object, unchanged.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The JSON text of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Decodes a string field.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        string(self.get(name)?)
    }

    /// Appends fields; an existing field of the same name is removed.
    #[must_use]
    pub fn with(&self, fields: &Fields) -> String {
        let added: usize = fields.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut json = String::with_capacity(self.text.len() + added);
        if fields.0.iter().any(|(name, _)| self.get(name).is_some()) {
            json.push('{');
            for (name, value) in self.fields() {
                if fields.get(name).is_none() {
                    push_field(&mut json, name, value);
                }
            }
        } else if self.fields.is_empty() {
            json.push('{');
        } else {
            json.push_str(self.text.strip_suffix('}').unwrap_or(self.text));
        }
        fields.push_to(&mut json);
        json.push('}');
        json
    }

    /// The fields in their order: names decoded, values as JSON text.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// Decodes a JSON string; `None` if the text is another value, or has a lone surrogate.
#[must_use]
pub fn string(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(json).ok().map(|Text(text)| text)
}

/// The correction of a string with a lone surrogate; `None` for other JSON. `name` is its path.
pub(crate) fn surrogate_correction(
    json: &str,
    name: &(impl fmt::Display + ?Sized),
) -> Option<String> {
    let is_unreadable = json.starts_with('"') && string(json).is_none();
    is_unreadable.then(|| format!("{name} must not have {LONE_SURROGATE}"))
}

/// The text as a JSON string, quoted and escaped.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_quoted(&mut json, text);
    json
}

/// Appends the text as a JSON string.
pub(crate) fn push_quoted(json: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().any(needs_escape) {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

/// Appends `"name":value`, after a comma unless it is the first field.
pub(crate) fn push_field(json: &mut String, name: &str, value: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    push_quoted(json, name);
    json.push(':');
    json.push_str(value);
}

fn describe(text: &str, error: &serde_json::Error) -> NotAnObject {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    NotAnObject(match (is_json, error.is_data()) {
        (false, _) => format!("not JSON: {error}"),
        (true, true) => error.to_string(),
        // In the name of a field: values are not decoded.
        (true, false) => format!("it has {LONE_SURROGATE}: {error}"),
    })
}

fn repeated<'f>(fields: &'f [(Cow<'_, str>, &str)]) -> Option<&'f str> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    })
}

/// Truncates a text from outside for an error text.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_NAME_IN_ERROR) {
        Some((end, _)) => Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

struct FieldTexts<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'de> Deserialize<'de> for FieldTexts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = FieldTexts<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut fields = Vec::with_capacity(8);
        while let Some(Name(name)) = map.next_key()? {
            if fields.len() == MAX_FIELDS {
                return Err(A::Error::custom(format_args!("more than {MAX_FIELDS} fields")));
            }
            let value: &RawValue = map.next_value()?;
            fields.push((name, value.get()));
        }
        Ok(FieldTexts(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_the_text_they_had() {
        let text =
            r#" {"a": 1e400 ,"\u0062":"x\n","$serde_json::private::Number":"7","z":[1, 2]} "#;
        let object = Object::parse(text).unwrap();
        let fields: Vec<_> = object.fields().collect();
        assert_eq!(
            fields,
            [
                ("a", "1e400"),
                ("b", r#""x\n""#),
                ("$serde_json::private::Number", r#""7""#),
                ("z", "[1, 2]"),
            ]
        );
        assert_eq!(object.string("b").unwrap(), "x\n");
        assert_eq!(object.string("a"), None);
        assert_eq!(object.text(), text.trim());
    }

    #[test]
    fn a_repeated_field_is_refused_however_it_is_spelled() {
        let error = Object::parse(r#"{"a":1,"b":2,"\u0061":3}"#).unwrap_err();
        assert_eq!(error.to_string(), r#"field "a" occurs twice"#);
        assert!(Object::parse(r#"{"a":{"b":1},"b":{"b":1}}"#).is_ok());
    }

    #[test]
    fn added_fields_stand_at_the_end_and_all_else_keeps_its_text() {
        let added = Fields::default().with_string("b", "x").with_json("c", "7".to_owned());
        let with = |text| Object::parse(text).unwrap().with(&added);
        assert_eq!(with(r#"{"a": [1, 2] }"#), r#"{"a": [1, 2] ,"b":"x","c":7}"#);
        assert_eq!(with(r#"{"b":1e400,"a":1e400}"#), r#"{"a":1e400,"b":"x","c":7}"#);
        assert_eq!(with("{ }"), added.to_json());
        assert_eq!(Object::parse(r#"{"a":1}"#).unwrap().with(&Fields::default()), r#"{"a":1}"#);
    }

    #[test]
    fn what_is_not_an_object_is_named() {
        for (text, named) in [
            ("[1]", "expected a JSON object"),
            ("7", "expected a JSON object"),
            ("{\"a\":}", "not JSON"),
            ("", "not JSON"),
            ("{} {}", "not JSON"),
            (r#"{"\ud800":1}"#, "it has a lone surrogate"),
        ] {
            let error = Object::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_string_is_escaped_where_it_must_be() {
        for text in ["plain", "quo\"te", "back\\slash", "line\nfeed", "\u{0}", "é"] {
            assert_eq!(string(&quoted(text)).unwrap(), text);
        }
    }
}
