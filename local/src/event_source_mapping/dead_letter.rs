//! Writes the records that a mapping gives up to its on-failure topic, as Lambda does.
//!
//! Each record becomes one message under its own key: what was tried, and the record as the event
//! carried it, so that it can be put back on its topic.

use std::error::Error;
use std::iter;
use std::time::Duration;

use kafka::{Brokers, OutgoingRecord, Producer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::event::{CLUSTER_ARN, EventFrame};
use super::record::Record;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// The limit for the broker to confirm a dead letter.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes to the on-failure topic of a mapping.
pub(super) struct DeadLetters {
    bootstrap_servers: String,
    topic: String,
    function: String,
    /// Few mappings ever give up a record, so the client starts with the first.
    producer: OnceCell<Producer>,
}

/// Why records are given up, and what the last invocation said.
#[derive(Debug, Clone)]
pub(super) struct GivenUp {
    pub(super) condition: Condition,
    pub(super) invocations: u32,
    pub(super) function_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    RetriesExhausted,
    RecordAgeExceeded,
    MaximumPayloadSizeExceeded,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
            Self::MaximumPayloadSizeExceeded => "MaximumPayloadSizeExceeded",
        }
    }
}

impl DeadLetters {
    pub(super) fn new(bootstrap_servers: &str, topic: &str, function: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic: topic.to_owned(),
            function: function.to_owned(),
            producer: OnceCell::new(),
        }
    }

    /// Writes a record, and tries until the broker has it.
    ///
    /// A record that the broker refuses for its size is logged with its position and left.
    pub(super) async fn send(&self, frame: &EventFrame, record: &Record, given_up: &GivenUp) {
        let message = self.message(frame, record, given_up).to_string();
        loop {
            match self.write(record, &message).await {
                Ok(()) => return,
                Err(error) if !self.may_pass(frame, record, error.as_ref()) => return,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Logs the error of a write; returns whether to try again.
    fn may_pass(&self, frame: &EventFrame, record: &Record, error: &(dyn Error + 'static)) -> bool {
        tracing::warn!(
            topic = self.topic,
            partition = frame.partition_key,
            offset = record.offset,
            error,
            "a dead letter is not written"
        );
        let causes = iter::successors(Some(error), |error| (*error).source());
        !causes
            .filter_map(|error| error.downcast_ref::<KafkaError>()?.rdkafka_error_code())
            .any(|code| code == RDKafkaErrorCode::MessageSizeTooLarge)
    }

    async fn write(
        &self,
        record: &Record,
        message: &str,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let connect = || async {
            Producer::new(&Brokers::plaintext(&self.bootstrap_servers), DELIVERY_TIMEOUT)
        };
        let producer = self.producer.get_or_try_init(connect).await?;
        let letter = OutgoingRecord {
            topic: &self.topic,
            partition: None,
            key: record.key.as_deref(),
            value: Some(message.as_bytes()),
            headers: &[],
        };
        Ok(producer.send(letter)?.delivered().await?)
    }

    fn message(&self, frame: &EventFrame, record: &Record, given_up: &GivenUp) -> Value {
        let event = frame.event(std::slice::from_ref(record));
        let position = json!({
            "firstRecordOffset": record.offset.to_string(),
            "lastRecordOffset": record.offset.to_string(),
            "firstRecordTimestamp": timestamp(record.timestamp_ms),
            "lastRecordTimestamp": timestamp(record.timestamp_ms),
        });
        let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{}", self.function);
        let response_context = given_up.function_failed.then(|| {
            json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" })
        });
        json!({
            "requestContext": {
                "requestId": uuid::Uuid::new_v4().to_string(),
                "functionArn": arn,
                "condition": given_up.condition.name(),
                "approximateInvokeCount": given_up.invocations,
            },
            "responseContext": response_context,
            "version": "1.0",
            "timestamp": jiff::Timestamp::now().to_string(),
            "KafkaBatchInfo": {
                "batchSize": 1,
                "eventSourceArn": CLUSTER_ARN,
                "bootstrapServers": self.bootstrap_servers,
                "payloadSize": event.len(),
                "recordsInfo": { frame.partition_key.as_str(): position },
            },
            // The frame and the record are JSON of this crate's own making.
            "payload": serde_json::from_slice::<Value>(&event).unwrap_or_default(),
        })
    }
}

fn timestamp(milliseconds: i64) -> Option<String> {
    let known = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
    (milliseconds >= 0).then(|| known.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_carries_the_record_as_the_event_did() {
        let letters = DeadLetters::new("b:9092", "order.dead-letter", "payment");
        let frame = EventFrame::new("b:9092", "order.created", 2);
        let record = Record {
            offset: 17,
            timestamp_ms: -1,
            ages_from_ms: None,
            key: None,
            json: r#"{"topic":"order.created","partition":2,"offset":17,"value":null}"#.to_owned(),
        };
        let given_up = GivenUp {
            condition: Condition::RetriesExhausted,
            invocations: 11,
            function_failed: true,
        };
        let message = letters.message(&frame, &record, &given_up);
        assert_eq!(message["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(message["requestContext"]["approximateInvokeCount"], 11);
        assert_eq!(message["responseContext"]["functionError"], "Unhandled");
        assert_eq!(message["payload"]["records"]["order.created-2"][0]["offset"], 17);
        let info = &message["KafkaBatchInfo"]["recordsInfo"]["order.created-2"];
        assert_eq!(info["firstRecordOffset"], "17");
        assert_eq!(info["firstRecordTimestamp"], Value::Null);
    }
}
