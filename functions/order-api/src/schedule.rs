//! The event that `EventBridge` sends on a schedule.

use contracts::parse_rfc3339;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The time for which an invocation was scheduled; `None` for any other event.
pub fn scheduled_at(event: &RawValue) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Scheduled {
        #[serde(rename = "detail-type")]
        detail_type: String,
        time: String,
    }
    let event: Scheduled = serde_json::from_str(event.get()).ok()?;
    parse_rfc3339(&event.time).filter(|_| event.detail_type == "Scheduled Event")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(event: &str) -> Option<Timestamp> {
        scheduled_at(&RawValue::from_string(event.to_owned()).unwrap())
    }

    #[test]
    fn only_an_event_of_a_schedule_has_its_time() {
        let scheduled = r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","time":"2026-02-06T12:00:00Z","detail":{}}"#;
        assert_eq!(at(scheduled), "2026-02-06T12:00:00Z".parse().ok());
        assert_eq!(at(&scheduled.replace("Scheduled Event", "EC2 Command")), None);
        assert_eq!(at(r#"{"eventSource":"aws:kafka","records":{}}"#), None);
    }
}
