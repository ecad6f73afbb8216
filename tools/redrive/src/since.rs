//! A time in the past: RFC 3339, or a span before now.

use std::str::FromStr;

use jiff::{Span, Timestamp, tz::TimeZone};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Since {
    text: String,
    start: Start,
}

#[derive(Debug, Clone)]
enum Start {
    At(Timestamp),
    Ago(Span),
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a time: give RFC 3339 such as 2026-11-01T00:00:00Z, or a span such as 2h or 3d"
)]
pub(crate) struct InvalidTime(String);

impl Since {
    /// # Errors
    /// If the time is after `now`, or too long ago.
    pub(crate) fn at(&self, now: Timestamp) -> Result<Timestamp, String> {
        let start = match &self.start {
            Start::At(at) => Some(*at),
            // Days need a calendar.
            Start::Ago(span) => {
                now.to_zoned(TimeZone::UTC).checked_sub(*span).ok().map(|it| it.timestamp())
            }
        };
        start.filter(|start| *start <= now).ok_or_else(|| {
            format!("the time {:?} is not in the past (give an earlier one)", self.text)
        })
    }
}

impl FromStr for Since {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let at = text.parse().map(Start::At);
        let start = at.or_else(|_| text.parse().map(Start::Ago));
        let start = start.map_err(|_| InvalidTime(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), start })
    }
}

impl TryFrom<String> for Since {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String, String> {
        let now = "2026-11-03T12:00:00Z".parse().unwrap();
        let since = text.parse::<Since>().map_err(|error| error.to_string())?;
        since.at(now).map(|at| at.to_string())
    }

    #[test]
    fn a_time_is_a_point_or_a_span_before_now() {
        for (text, expected) in [
            ("2026-11-01T01:00:00+01:00", "2026-11-01T00:00:00Z"),
            ("2h", "2026-11-03T10:00:00Z"),
            ("90m", "2026-11-03T10:30:00Z"),
            ("3d", "2026-10-31T12:00:00Z"),
            ("1d 2h", "2026-11-02T10:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_past_time_is_rejected() {
        for text in ["", "2", "yesterday", "2026-11-01", "-2h", "2026-11-04T00:00:00Z", "99999y"] {
            assert!(at(text).is_err(), "{text}: {:?}", at(text));
        }
    }
}
