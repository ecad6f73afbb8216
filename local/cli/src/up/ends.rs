//! One line for each order that ends, and for each record that is given up.

use std::collections::{HashSet, VecDeque};

use contracts::{Envelope, EventType, TopicNames, parse_rfc3339};
use emulator::tap::TapRecord;
use jiff::Timestamp;
use serde_json::Value;
use terminal::printable;

use crate::fixtures::digest;

/// The ends whose redelivery is recognised.
const MAX_REMEMBERED: usize = 100_000;

/// The most characters of a text from a dead letter, which anybody may have written.
const MAX_TEXT: usize = 300;

/// The last ends.
#[derive(Debug)]
pub(super) struct Ends {
    /// The start of the run.
    started: Timestamp,
    digests: HashSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl Ends {
    /// `started` is the start of the run.
    pub(super) fn since(started: Timestamp) -> Self {
        Self { started, digests: HashSet::new(), oldest_first: VecDeque::new() }
    }

    /// The line for a terminal event, a malformed report or a dead letter; `None` for other records.
    pub(super) fn line(&mut self, record: &TapRecord) -> Option<String> {
        let value = record.payload.as_deref()?;
        if record.topic == TopicNames::default().dead_letters() {
            return dead_letter(record.key.as_deref().unwrap_or_default(), value);
        }
        let event = Envelope::decode(value).ok()?;
        let is_report = event.is_malformed_report();
        if !is_report && !event.event_type.is_terminal() {
            return None;
        }
        let order_id = printable(event.order_id.as_str());
        let mut line = match (event.event_type, is_report) {
            (EventType::OrderCompleted, _) => format!("{order_id}  COMPLETED"),
            (_, true) => format!("{order_id}  MALFORMED"),
            (_, false) => format!("{order_id}  FAILED"),
        };
        // The recovery at the start publishes the end of a cancelled order each time.
        let is_old = parse_rfc3339(&event.timestamp).is_some_and(|at| at < self.started);
        if self.is_redelivered(value) {
            line.push_str(" (redelivered)");
        } else if is_old {
            line.push_str(" (of an earlier run)");
        }
        if event.event_type.is_failure() {
            let reason = event.payload.string("failureReason");
            line.push_str("  ");
            line.push_str(&printable(reason.as_deref().unwrap_or("no reason given")));
        }
        Some(line)
    }

    fn is_redelivered(&mut self, value: &[u8]) -> bool {
        let digest = digest(&value);
        if !self.digests.insert(digest) {
            return true;
        }
        self.oldest_first.push_back(digest);
        if self.oldest_first.len() > MAX_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.digests.remove(&oldest);
        }
        false
    }
}

/// The line for a dead letter: its key, which is the order, its cause, and what leads on. `None` for
/// the receipt of a redrive.
fn dead_letter(key: &[u8], value: &[u8]) -> Option<String> {
    let letter: Value = serde_json::from_slice(value).unwrap_or_default();
    if letter.get("type").is_some_and(Value::is_string) {
        return None;
    }
    let text = |pointer| letter.pointer(pointer).and_then(Value::as_str);
    let cause =
        text("/responseContext/functionError").or_else(|| text("/requestContext/condition"));
    let short = |text: &str| printable(text).chars().take(MAX_TEXT).collect::<String>();
    let order_id = Some(String::from_utf8_lossy(key)).filter(|key| !key.is_empty());
    let order_id = short(order_id.as_deref().unwrap_or("a record without a key"));
    let cause = short(cause.unwrap_or("no cause given"));
    Some(format!("{order_id}  DEAD LETTER  {cause} (see `redrive list`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_one_line_with_its_cause() {
        let letter = |context: &str| {
            let value = format!("{{{context}}}").into_bytes();
            let key = Some(b"ord-1".to_vec());
            let topic = "order.dead-letter".to_owned();
            let record = record("OrderCreated", "{}");
            Ends::since(Timestamp::UNIX_EPOCH).line(&TapRecord {
                topic,
                key,
                payload: Some(value),
                ..record
            })
        };
        assert_eq!(
            letter(r#""responseContext":{"functionError":"correct the item"}"#).as_deref(),
            Some("ord-1  DEAD LETTER  correct the item (see `redrive list`)")
        );
        assert_eq!(
            letter(r#""requestContext":{"condition":"RetriesExhausted"}"#).as_deref(),
            Some("ord-1  DEAD LETTER  RetriesExhausted (see `redrive list`)")
        );
        assert!(letter("").unwrap().contains("no cause given"));
        let long = format!(r#""requestContext":{{"condition":"{}"}}"#, "x".repeat(10_000));
        assert!(letter(&long).unwrap().len() < 400);
        assert_eq!(letter(r#""type":"redriveReceipt""#), None);
    }

    fn record(event_type: &str, payload: &str) -> TapRecord {
        let value = format!(
            r#"{{"eventType":"{event_type}","orderId":"ord-1","correlationId":"c",
                "timestamp":"2026-02-06T12:00:00Z","payload":{payload}}}"#
        );
        TapRecord {
            topic: "order.failed".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            payload: Some(value.into_bytes()),
            headers: Vec::new(),
        }
    }

    fn line_of(event_type: &str, payload: &str) -> Option<String> {
        Ends::since(Timestamp::UNIX_EPOCH).line(&record(event_type, payload))
    }

    #[test]
    fn an_ended_order_is_one_line_with_its_reason() {
        assert_eq!(line_of("OrderCompleted", "{}").as_deref(), Some("ord-1  COMPLETED"));
        assert_eq!(
            line_of("OrderPaymentFailed", r#"{"failureReason":"PAYMENT_DECLINED: no"}"#).as_deref(),
            Some("ord-1  FAILED  PAYMENT_DECLINED: no")
        );
        assert_eq!(
            line_of(
                "OrderValidationFailed",
                r#"{"failureReason":"MALFORMED_EVENT: not JSON","malformed":true}"#
            )
            .as_deref(),
            Some("ord-1  MALFORMED  MALFORMED_EVENT: not JSON")
        );
        assert_eq!(line_of("OrderValidated", "{}"), None);
    }

    #[test]
    fn an_end_of_an_earlier_run_is_marked() {
        let started = "2026-02-06T12:00:00.001Z".parse().unwrap();
        let failed = record("OrderPaymentFailed", r#"{"failureReason":"ORDER_CANCELLED: no"}"#);
        assert_eq!(
            Ends::since(started).line(&failed).as_deref(),
            Some("ord-1  FAILED (of an earlier run)  ORDER_CANCELLED: no")
        );
    }

    #[test]
    fn an_end_that_comes_twice_is_marked() {
        let mut ends = Ends::since(Timestamp::UNIX_EPOCH);
        let completed = record("OrderCompleted", "{}");
        let failed = record("OrderPaymentFailed", r#"{"failureReason":"PAYMENT_DECLINED: no"}"#);
        let lines: Vec<_> = [&completed, &failed, &completed, &failed]
            .into_iter()
            .filter_map(|it| ends.line(it))
            .collect();
        assert_eq!(
            lines,
            [
                "ord-1  COMPLETED",
                "ord-1  FAILED  PAYMENT_DECLINED: no",
                "ord-1  COMPLETED (redelivered)",
                "ord-1  FAILED (redelivered)  PAYMENT_DECLINED: no",
            ]
        );
    }
}
