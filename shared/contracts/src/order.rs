//! Typed views of an order's payload: customer, items, total.
//!
//! A view never changes the payload. Its errors name the field and the correction.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use rust_decimal::prelude::ToPrimitive;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    Errors, Money, Object,
    decimal::exact,
    money::{MAX_DECIMALS, MAX_WHOLE_DIGITS},
    object::{string, surrogate_correction},
};

/// The longest customer id or SKU in bytes; both are partition keys (at most 2,048 bytes).
pub const MAX_KEY_BYTES: usize = 256;

/// The largest quantity of one line.
pub const MAX_QUANTITY: u64 = 1_000_000_000;

/// The most different SKUs of one order: a DynamoDB transaction takes 100 actions, and a stage's
/// row is one of them.
pub const MAX_SKUS: usize = 98;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub sku: String,
    /// At least 1.
    pub quantity: u64,
}

/// Reads `customerId`.
///
/// # Errors
/// The correction, if it is missing or malformed.
pub fn customer_id<'a>(payload: &Object<'a>) -> Result<Cow<'a, str>, String> {
    key_text(payload.get("customerId"), "customerId")
}

/// Reads `items`.
///
/// # Errors
/// Every error of every line.
pub fn items(payload: &Object<'_>) -> Result<Vec<Item>, Errors> {
    let Some(lines) = payload.get("items") else {
        return Err(Errors::one("missing items"));
    };
    match serde_json::from_str(lines) {
        Ok(Lines { items, errors }) if errors.is_empty() && !items.is_empty() => Ok(items),
        Ok(Lines { errors, .. }) if !errors.is_empty() => Err(errors),
        _ => Err(Errors::one("items must be a list of at least one item")),
    }
}

/// The lines of an order, parsed one at a time to bound memory.
#[derive(Default)]
struct Lines {
    items: Vec<Item>,
    errors: Errors,
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LinesVisitor)
    }
}

struct LinesVisitor;

impl<'de> Visitor<'de> for LinesVisitor {
    type Value = Lines;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Lines, A::Error> {
        let (mut read, mut index) = (Lines::default(), 0_usize);
        while let Some(line) = lines.next_element::<&RawValue>()? {
            match item(line.get(), index) {
                Ok(item) if read.errors.is_empty() => read.items.push(item),
                Ok(_) => {}
                Err(errors) => errors.into_iter().for_each(|error| read.errors.push(error)),
            }
            index += 1;
        }
        Ok(read)
    }
}

fn item(line: &str, index: usize) -> Result<Item, Vec<String>> {
    let line = Object::parse(line).map_err(|error| {
        vec![format!("items[{index}] must be an object with sku and quantity: {error}")]
    })?;
    let sku = key_text(line.get("sku"), &format_args!("items[{index}].sku"));
    let quantity = line.get("quantity").and_then(whole_number).ok_or_else(|| {
        format!("items[{index}].quantity must be a whole number from 1 to {MAX_QUANTITY}")
    });
    match (sku, quantity) {
        (Ok(sku), Ok(quantity)) => Ok(Item { sku: sku.into_owned(), quantity }),
        (sku, quantity) => Err([sku.err(), quantity.err()].into_iter().flatten().collect()),
    }
}

/// Reads `totalAmount`.
///
/// # Errors
/// The correction, if it is missing or malformed.
pub fn total_amount(payload: &Object<'_>) -> Result<Money, String> {
    let Some(json) = payload.get("totalAmount") else {
        return Err("missing totalAmount".to_owned());
    };
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err("totalAmount must be a number".to_owned());
    }
    Money::from_text(json).filter(|amount| amount.is_bounded()).ok_or_else(|| {
        format!(
            "totalAmount must be below 1e{MAX_WHOLE_DIGITS} and have at most {MAX_DECIMALS} decimals"
        )
    })
}

/// Sums the quantities of the lines by SKU.
#[must_use]
pub fn quantity_by_sku(items: &[Item]) -> BTreeMap<&str, u64> {
    let mut quantities = BTreeMap::new();
    for item in items {
        let quantity: &mut u64 = quantities.entry(item.sku.as_str()).or_default();
        *quantity = quantity.saturating_add(item.quantity);
    }
    quantities
}

/// Reads a string that fits a table's key; `name` is its path in the payload.
fn key_text<'a>(
    json: Option<&'a str>,
    name: &(impl fmt::Display + ?Sized),
) -> Result<Cow<'a, str>, String> {
    let json = json.ok_or_else(|| format!("missing {name}"))?;
    let text = string(json).ok_or_else(|| {
        surrogate_correction(json, name).unwrap_or_else(|| format!("{name} must be a string"))
    })?;
    if text.trim().is_empty() {
        return Err(format!("{name} must not be empty"));
    }
    if text.len() > MAX_KEY_BYTES {
        return Err(format!("{name} must have at most {MAX_KEY_BYTES} bytes"));
    }
    Ok(text)
}

/// A quantity by its value, so that `2`, `2.0` and `2e0` are the same.
fn whole_number(json: &str) -> Option<u64> {
    let decimal = exact(json)?;
    let whole = decimal.is_integer().then(|| decimal.to_u64()).flatten()?;
    (1..=MAX_QUANTITY).contains(&whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn errors(payload: &str) -> String {
        items(&Object::parse(payload).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn every_error_of_every_line_is_named() {
        let order = r#"{"items":[
            {"sku":"A","quantity":1}, {"sku":7,"quantity":0}, {"quantity":1.5},
            {"sku":" ","quantity":"2"}, {"sku":"B","sku":"C","quantity":1}
        ]}"#;
        assert_eq!(
            errors(order),
            "items[1].sku must be a string; \
             items[1].quantity must be a whole number from 1 to 1000000000; \
             missing items[2].sku; \
             items[2].quantity must be a whole number from 1 to 1000000000; \
             items[3].sku must not be empty; \
             items[3].quantity must be a whole number from 1 to 1000000000; \
             items[4] must be an object with sku and quantity: field \"sku\" occurs twice"
        );
        assert!(errors(r#"{"items":["B"]}"#).starts_with("items[0] must be an object with sku"));
        assert_eq!(errors("{}"), "missing items");
        for not_a_list in [r#"{"items":[]}"#, r#"{"items":{}}"#, r#"{"items":"A"}"#] {
            assert_eq!(errors(not_a_list), "items must be a list of at least one item");
        }
    }

    #[test]
    fn a_lone_surrogate_in_a_key_is_named() {
        for text in [r"\ud800", r"\ud800x", r"\ud800\ud800", r"\udc00"] {
            let order =
                format!(r#"{{"customerId":"{text}","items":[{{"sku":"{text}","quantity":1}}]}}"#);
            let order = Object::parse(&order).unwrap();
            let error = customer_id(&order).unwrap_err();
            assert!(error.starts_with("customerId must not have a lone surrogate"), "{error}");
            let error = items(&order).unwrap_err().to_string();
            assert!(error.starts_with("items[0].sku must not have a lone surrogate"), "{error}");
        }
    }

    #[test]
    fn a_list_of_many_errors_names_the_first_and_counts_the_rest() {
        let order = format!(r#"{{"items":[{}7]}}"#, "7,".repeat(5_000));
        let errors = errors(&order);
        assert!(errors.ends_with("; and 4981 more"), "{errors}");
        assert!(errors.len() < 4_000);
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way() {
        for text in ["2", "2.0", "2e0", "0.2e1"] {
            assert_eq!(whole_number(text), Some(2), "{text}");
        }
        for text in
            ["0", "-1", "1000000001", "1e30", "\"2\"", "1.99999999999999999999999999999999999e0"]
        {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }

    /// A number with these digits, its decimal point moved, and an exponent that reverts the move.
    fn spelled(digits: &str, shift: i32, zeros: usize, upper: bool) -> String {
        let letter = if upper { 'E' } else { 'e' };
        let digits = digits.to_owned() + &"0".repeat(zeros);
        let shifted = shift - i32::try_from(zeros).unwrap();
        let point = usize::try_from(shift.unsigned_abs()).unwrap();
        match shift {
            // 12 as 120e-1, as 12e0, and as 0.12e2.
            ..0 => format!("{digits}{}{letter}{}", "0".repeat(point), shifted),
            0 => format!("{digits}{letter}{shifted}"),
            _ => {
                let padded = format!("{digits:0>width$}", width = zeros + point + 1);
                let (whole, fraction) = padded.split_at(padded.len() - zeros - point);
                format!("{whole}.{fraction}{letter}{point}")
            }
        }
    }

    proptest! {
        #[test]
        fn a_quantity_is_the_same_in_every_spelling(
            quantity in 1..=MAX_QUANTITY, shift in -12_i32..=12, zeros in 0_usize..6, upper: bool,
        ) {
            let text = spelled(&quantity.to_string(), shift, zeros, upper);
            prop_assert_eq!(whole_number(&text), Some(quantity), "{}", text);
            // With one more digit after the decimal point it is not a whole number.
            let text = spelled(&format!("{quantity}1"), shift, zeros, upper);
            let (digits, exponent) = text.split_once(['e', 'E']).unwrap();
            let text = format!("{digits}e{}", exponent.parse::<i32>().unwrap() - 1);
            prop_assert_eq!(whole_number(&text), None, "{}", text);
        }

        #[test]
        fn a_quantity_that_is_nearly_whole_is_never_rounded(
            quantity in 0..MAX_QUANTITY, nines in 1_usize..60, exponent in 0_usize..9,
        ) {
            let whole = format!("{quantity}.{}", "9".repeat(nines));
            let above = format!("{}.{}1", quantity + 1, "0".repeat(nines));
            for text in [whole, above] {
                prop_assert_eq!(whole_number(&text), None, "{}", text);
                // The same value, its decimal point moved left by the exponent.
                let digits = text.replace('.', "");
                let point = text.find('.').unwrap();
                let moved = format!("0.{}{digits}e{}", "0".repeat(exponent), exponent + point);
                prop_assert_eq!(whole_number(&moved), None, "{}", moved);
            }
        }

        #[test]
        fn an_amount_near_its_limits_is_exact_or_refused(
            below in 0_u64..1_000, decimals in 0_u32..=12, shift in -6_i32..=6,
        ) {
            let limit = 10_u64.pow(MAX_WHOLE_DIGITS);
            for units in [limit - 1 - below, limit + below] {
                let digits = units.to_string();
                let fraction = "0".repeat(usize::try_from(decimals).unwrap());
                let last = format!("{}1", fraction.get(1..).unwrap_or_default());
                let fraction = if decimals == 0 { String::new() } else { last };
                let plain = format!("{digits}.{fraction}");
                let plain = plain.trim_end_matches('.');
                let amount = |text: &str| {
                    let order = format!(r#"{{"totalAmount":{text}}}"#);
                    total_amount(&Object::parse(&order).unwrap())
                };
                let fits = units < limit && decimals <= MAX_DECIMALS;
                let read = amount(plain);
                prop_assert_eq!(read.is_ok(), fits, "{}", plain);
                if let Ok(read) = read {
                    prop_assert_eq!(read.to_string(), plain);
                }
                if decimals == 0 {
                    let text = spelled(&digits, shift, 0, false);
                    prop_assert_eq!(amount(&text).is_ok(), fits, "{}", text);
                }
            }
        }
    }

    #[test]
    fn an_amount_is_a_bounded_number() {
        let amount = |json| total_amount(&Object::parse(json).unwrap());
        assert_eq!(amount(r#"{"totalAmount":99.980}"#).unwrap().to_string(), "99.980");
        assert_eq!(amount("{}").unwrap_err(), "missing totalAmount");
        assert_eq!(amount(r#"{"totalAmount":"1"}"#).unwrap_err(), "totalAmount must be a number");
        assert!(amount(r#"{"totalAmount":1e400}"#).unwrap_err().contains("below 1e15"));
        for unbounded in ["1e15", "-1e15", "0.0000000001", "7e28"] {
            let order = format!(r#"{{"totalAmount":{unbounded}}}"#);
            assert!(total_amount(&Object::parse(&order).unwrap()).is_err(), "{unbounded}");
        }
    }

    #[test]
    fn lines_of_one_sku_are_added_up() {
        let items = [("B", 1), ("A", 2), ("B", 3)]
            .map(|(sku, quantity)| Item { sku: sku.to_owned(), quantity });
        assert_eq!(quantity_by_sku(&items), BTreeMap::from([("A", 2), ("B", 4)]));
    }
}
