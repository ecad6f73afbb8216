//! Exact amounts as JSON strings: one, and one for each day.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(amount: &Decimal, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    parse(&String::deserialize(from)?)
}

fn parse<E: Error>(text: &str) -> Result<Decimal, E> {
    text.parse().map_err(|_| E::custom(format!("{text:?} must be an amount such as \"98\"")))
}

/// Amounts by day.
pub(crate) mod by_day {
    use super::{BTreeMap, Decimal, Deserialize, Deserializer, Serializer, parse};

    pub(crate) fn serialize<S: Serializer>(
        days: &BTreeMap<i64, Decimal>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(days.iter().map(|(day, amount)| (day, amount.to_string())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<i64, Decimal>, D::Error> {
        let days: BTreeMap<i64, String> = BTreeMap::deserialize(from)?;
        days.into_iter().map(|(day, text)| Ok((day, parse(&text)?))).collect()
    }
}
