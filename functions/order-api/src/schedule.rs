//! The event that `EventBridge` sends on a schedule, or a person who wants a recovery now.

use contracts::parse_rfc3339;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

/// More than the `ROW_TTL_DAYS` of `template.yaml`: older orders have no rows.
const ROWS_KEPT: SignedDuration = SignedDuration::from_hours(60 * 24);

/// A request for a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// The time for which the invocation was scheduled.
    pub at: Timestamp,
    /// Recovers every order accepted from this time on, whatever its age; a schedule has none.
    pub accepted_since: Option<Timestamp>,
}

impl Scheduled {
    /// Reads an event; `None` for any other event.
    ///
    /// # Errors
    /// The correction, if `acceptedSince` is malformed.
    pub fn read(event: &RawValue) -> Option<Result<Self, String>> {
        #[derive(Deserialize)]
        struct Event {
            #[serde(rename = "detail-type")]
            detail_type: String,
            time: String,
            #[serde(default)]
            detail: Detail,
        }
        #[derive(Default, Deserialize)]
        struct Detail {
            #[serde(rename = "acceptedSince")]
            accepted_since: Option<String>,
        }
        let event: Event = serde_json::from_str(event.get()).ok()?;
        let at = parse_rfc3339(&event.time).filter(|_| event.detail_type == "Scheduled Event")?;
        let since = event.detail.accepted_since.map(|since| {
            let text = "RFC 3339 and not after the event's time: 2026-02-06T12:00:00Z";
            let parsed = parse_rfc3339(&since).filter(|since| *since <= at);
            let parsed = parsed.map(|since| since.max(at.saturating_sub(ROWS_KEPT).unwrap_or(at)));
            parsed.ok_or_else(|| format!("acceptedSince is {since:?}, but must be {text}"))
        });
        Some(since.transpose().map(|accepted_since| Self { at, accepted_since }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: &str) -> Option<Result<Scheduled, String>> {
        Scheduled::read(&RawValue::from_string(event.to_owned()).unwrap())
    }

    #[test]
    fn only_an_event_of_a_schedule_starts_a_recovery() {
        let scheduled = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","time":"2026-02-06T12:00:00Z","detail":{}}"#;
        let at = "2026-02-06T12:00:00Z".parse().unwrap();
        assert_eq!(read(scheduled), Some(Ok(Scheduled { at, accepted_since: None })));
        assert_eq!(read(&scheduled.replace("Scheduled Event", "EC2 Command")), None);
        assert_eq!(read(r#"{"eventSource":"aws:kafka","records":{}}"#), None);
        let since = scheduled.replace("{}", r#"{"acceptedSince":"2026-02-01T00:00:00Z"}"#);
        let accepted_since = "2026-02-01T00:00:00Z".parse().ok();
        assert_eq!(read(&since), Some(Ok(Scheduled { at, accepted_since })));
        for wrong in ["yesterday ", "2026-02-07T", "9999-12-30T"] {
            let error = read(&since.replace("2026-02-01T", wrong)).unwrap().unwrap_err();
            assert!(error.contains("must be RFC 3339"), "{error}");
        }
        let earliest =
            read(&since.replace("2026-02-01T", "0001-02-01T")).unwrap().unwrap().accepted_since;
        assert_eq!(earliest, "2025-12-08T12:00:00Z".parse().ok());
    }
}
