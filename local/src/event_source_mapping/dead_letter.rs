//! Where do the records go that a mapping gives up? To its on-failure topic, as Lambda writes them.
//!
//! Each record becomes one message under its own key: what was tried, and the record as the event
//! carried it, so that it can be put back on its topic.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::event::{CLUSTER_ARN, EventFrame};
use super::record::Record;

const PAUSE: Duration = Duration::from_millis(500);

/// Writes to the on-failure topic of a mapping.
pub(super) struct DeadLetters {
    bootstrap_servers: String,
    topic: String,
    function: String,
    /// Few mappings ever give up a record, so the client starts with the first.
    producer: OnceCell<FutureProducer>,
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
            let error = match self.write(record, &message).await {
                Ok(()) => return,
                Err(error) => error,
            };
            tracing::warn!(topic = self.topic, partition = frame.partition_key,
                offset = record.offset, %error, "a dead letter is not written");
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write(&self, record: &Record, message: &str) -> Result<(), KafkaError> {
        let producer = self.producer.get_or_try_init(|| async { self.connect() }).await?;
        let mut letter: FutureRecord<'_, [u8], str> =
            FutureRecord::to(&self.topic).payload(message);
        letter.key = record.key.as_deref();
        let sent = producer.send(letter, Timeout::Never).await;
        sent.map(|_| ()).map_err(|(error, _)| error)
    }

    fn connect(&self) -> Result<FutureProducer, KafkaError> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "event-source-mapping")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "30000")
            // A record of the usual limit of 1 MB grows by a third in base64.
            .set("message.max.bytes", "8000000")
            .set_log_level(RDKafkaLogLevel::Error)
            .create()
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
