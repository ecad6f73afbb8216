//! Publishes the records that a mapping gives up to its on-failure topic, as Lambda does.
//!
//! Each record becomes one dead letter with the same key: the failure, and the record as in the
//! event, so that it can be redriven.

use std::error::Error;
use std::iter;
use std::time::Duration;

use kafka::{Brokers, OutgoingRecord, Producer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::event::{CLUSTER_ARN, EventEncoder, Record};
use crate::template::Mapping;

/// Backoff between two attempts.
const BACKOFF: Duration = Duration::from_millis(500);
/// Limit for the broker to acknowledge a dead letter.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Publishes to the on-failure topic of a mapping.
pub(super) struct DeadLetters {
    bootstrap_servers: String,
    topic: String,
    function: String,
    /// Created with the first dead letter: most mappings never publish one.
    producer: OnceCell<Producer>,
}

/// Why records are given up.
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
    /// `None` if the mapping has no on-failure topic.
    pub(super) fn of(mapping: &Mapping, bootstrap_servers: &str) -> Option<Self> {
        let topic = mapping.on_failure_topic.as_deref()?;
        Some(Self::new(bootstrap_servers, topic, &mapping.function.binary))
    }

    fn new(bootstrap_servers: &str, topic: &str, function: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic: topic.to_owned(),
            function: function.to_owned(),
            producer: OnceCell::new(),
        }
    }

    /// Publishes a record, and retries until the broker acknowledges it.
    ///
    /// A dead letter that is too large for the broker is logged with its position and skipped.
    pub(super) async fn send(&self, encoder: &EventEncoder, record: &Record, given_up: &GivenUp) {
        let message = self.message(encoder, record, given_up).to_string();
        loop {
            match self.publish(record, &message).await {
                Ok(()) => return,
                Err(error) if !self.is_retryable(encoder, record, error.as_ref()) => return,
                Err(_) => tokio::time::sleep(BACKOFF).await,
            }
        }
    }

    /// Logs the error; only a dead letter that is too large is not retryable.
    fn is_retryable(
        &self,
        encoder: &EventEncoder,
        record: &Record,
        error: &(dyn Error + 'static),
    ) -> bool {
        tracing::warn!(
            topic = self.topic,
            partition = encoder.partition_key(record.partition),
            offset = record.offset,
            error,
            "cannot publish a dead letter"
        );
        let causes = iter::successors(Some(error), |error| (*error).source());
        !causes
            .filter_map(|error| error.downcast_ref::<KafkaError>()?.rdkafka_error_code())
            .any(|code| code == RDKafkaErrorCode::MessageSizeTooLarge)
    }

    async fn publish(
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

    fn message(&self, encoder: &EventEncoder, record: &Record, given_up: &GivenUp) -> Value {
        let event = encoder.event(std::slice::from_ref(record));
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
                "recordsInfo": { encoder.partition_key(record.partition): position },
            },
            // This crate has encoded the event: it is valid JSON.
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
        let letters = DeadLetters::new("b:9092", "a.dead-letter", "greeter");
        let encoder = EventEncoder::new("b:9092", "a.topic");
        let record = Record {
            timestamp_ms: -1,
            json: r#"{"topic":"a.topic","partition":2,"offset":17,"value":null}"#.to_owned(),
            ..Record::test(2, 17)
        };
        let given_up = GivenUp {
            condition: Condition::RetriesExhausted,
            invocations: 11,
            function_failed: true,
        };
        let message = letters.message(&encoder, &record, &given_up);
        assert_eq!(message["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(message["requestContext"]["approximateInvokeCount"], 11);
        assert_eq!(message["responseContext"]["functionError"], "Unhandled");
        assert_eq!(message["payload"]["records"]["a.topic-2"][0]["offset"], 17);
        let info = &message["KafkaBatchInfo"]["recordsInfo"]["a.topic-2"];
        assert_eq!(info["firstRecordOffset"], "17");
        assert_eq!(info["firstRecordTimestamp"], Value::Null);
    }
}
