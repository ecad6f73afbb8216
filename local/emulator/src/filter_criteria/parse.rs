//! Parses a filter's pattern; an error names its place in the pattern.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{MAX_PATTERN, Operator, Pattern};

/// The only key of a Kafka record that Lambda filters by.
const KEY: &str = "value";

pub(super) fn filter(pattern: &str) -> Result<Pattern, String> {
    if pattern.chars().count() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {MAX_PATTERN} characters"));
    }
    let fields: Map<String, Value> = serde_json::from_str(pattern)
        .map_err(|error| format!("the pattern is not a JSON object: {error}"))?;
    match fields.iter().collect::<Vec<_>>().as_slice() {
        [(key, pattern)] if *key == KEY => parse(KEY, pattern),
        _ => Err(format!("the pattern must have one key, {KEY:?}")),
    }
}

fn parse(path: &str, pattern: &Value) -> Result<Pattern, String> {
    match pattern {
        Value::Object(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|(name, pattern)| field(path, name, pattern));
            Ok(Pattern::All(fields.collect::<Result<_, _>>()?))
        }
        Value::Array(operands) if !operands.is_empty() => {
            let operators = operands.iter().map(|operand| operator(path, operand));
            Ok(Pattern::Leaf(operators.collect::<Result<_, _>>()?))
        }
        _ => Err(format!("{path}: a pattern must be an object or an array, and not empty")),
    }
}

fn field(path: &str, name: &str, pattern: &Value) -> Result<Pattern, String> {
    if name != "$or" {
        let path = format!("{path}.{name}");
        return Ok(Pattern::Field(name.to_owned(), Box::new(parse(&path, pattern)?)));
    }
    let alternatives = pattern
        .as_array()
        .filter(|alternatives| alternatives.len() > 1 && alternatives.iter().all(Value::is_object));
    let alternatives = alternatives
        .ok_or_else(|| format!("{path}: $or must be an array of at least two objects"))?;
    let alternatives = alternatives.iter().map(|alternative| parse(path, alternative));
    Ok(Pattern::Any(alternatives.collect::<Result<_, _>>()?))
}

fn operator(path: &str, operand: &Value) -> Result<Operator, String> {
    let fields = match operand {
        Value::Object(fields) => fields,
        Value::Array(_) => return Err(format!("{path}: an array must not contain an array")),
        scalar => return Ok(Operator::Equals(scalar.clone())),
    };
    let mut entries = fields.iter();
    let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
        return Err(format!("{path}: an object in an array must have one key, its operator"));
    };
    let text = operand.as_str().map(ToOwned::to_owned);
    let operator = match name.as_str() {
        "prefix" => text.map(Operator::Prefix),
        "suffix" => text.map(Operator::Suffix),
        "equals-ignore-case" => text.map(|text| Operator::EqualsIgnoreCase(text.to_lowercase())),
        "exists" => operand.as_bool().map(Operator::Exists),
        "numeric" => numeric(operand),
        "anything-but" => anything_but(path, operand)?,
        _ => return Err(format!("{path}: the operator {name:?} is not supported")),
    };
    operator.ok_or_else(|| format!("{path}: the operand of {name:?} is malformed"))
}

/// `["=", 1]`, one bound, or a lower and an upper bound.
fn numeric(operand: &Value) -> Option<Operator> {
    let mut bounds: Vec<(&str, f64)> = Vec::new();
    for pair in operand.as_array()?.chunks(2) {
        let [name, number] = pair else { return None };
        bounds.push((name.as_str()?, number.as_f64()?));
    }
    match bounds.as_slice() {
        [_] => {}
        [(">" | ">=", low), ("<" | "<=", high)] if low < high => {}
        _ => return None,
    }
    let bounds = bounds.into_iter().map(|(name, bound)| {
        let holds: fn(Ordering) -> bool = match name {
            "=" => Ordering::is_eq,
            "<" => Ordering::is_lt,
            "<=" => Ordering::is_le,
            ">" => Ordering::is_gt,
            ">=" => Ordering::is_ge,
            _ => return None,
        };
        Some((holds, bound))
    });
    bounds.collect::<Option<_>>().map(Operator::Numeric)
}

/// Strings and numbers, or one operator for text.
fn anything_but(path: &str, operand: &Value) -> Result<Option<Operator>, String> {
    let excluded = match operand {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let operators = excluded.iter().map(|operand| operator(path, operand));
    let operators: Vec<_> = operators.collect::<Result<_, _>>()?;
    let is_allowed = |operator: &Operator| match operator {
        Operator::Equals(value) => value.is_string() || value.is_number(),
        Operator::Prefix(_) | Operator::Suffix(_) | Operator::EqualsIgnoreCase(_) => {
            !operand.is_array()
        }
        _ => false,
    };
    let is_valid = !operators.is_empty() && operators.iter().all(is_allowed);
    Ok(is_valid.then_some(Operator::AnythingBut(operators)))
}
