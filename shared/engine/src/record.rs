//! Decodes a batch: each record is an event for its stage, malformed, or ignored.

use contracts::{
    Envelope, FailureCode, FailureReason, MalformedEvent, OrderId, RecordPosition, StageName,
    Topic, TraceContext,
    nesting::{MAX_NESTING, is_nested_deeper},
};

use crate::{
    Digest, RowKey,
    lambda_event::{ItemIdentifier, KafkaEvent, KafkaRecord},
};

/// A decoded record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) identifier: ItemIdentifier,
    pub(crate) position: RecordPosition,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) content: Content<'a>,
}

/// The content of a record.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// An event that the stage decides about.
    Event(Box<Envelope<'a>>),
    /// Anything that is not an event of the topic.
    Malformed(Malformed<'a>),
    /// An event of the topic that another stage decides about, or a report of a malformed record.
    Ignored,
}

/// A malformed record.
#[derive(Debug)]
pub(crate) struct Malformed<'a> {
    pub(crate) event: Box<MalformedEvent<'a>>,
    /// The order named by the record, else by its key, else its position.
    pub(crate) order_id: OrderId,
    pub(crate) digest: Digest,
}

impl Malformed<'_> {
    /// The id of the row that reports the record; [`OrderId::parse`] refuses ids of this form.
    pub(crate) fn row_id(&self, record: &Record<'_>) -> String {
        format!("{}#{}", record.position, self.digest)
    }
}

impl Record<'_> {
    /// The key of the row that the record shares with others of its order.
    pub(crate) fn row_key(&self, stage: StageName) -> Option<RowKey> {
        let id = match &self.content {
            Content::Event(event) => event.order_id.to_string(),
            Content::Malformed(malformed) => malformed.row_id(self),
            Content::Ignored => return None,
        };
        Some(RowKey { id, stage })
    }

    /// The event, where the record has one for the stage.
    pub(crate) fn event(&self) -> Option<&Envelope<'_>> {
        match &self.content {
            Content::Event(event) => Some(event),
            Content::Malformed(_) | Content::Ignored => None,
        }
    }

    /// The order that the record is about, for the log.
    pub(crate) fn order_id(&self) -> &str {
        match &self.content {
            Content::Event(event) => event.order_id.as_str(),
            Content::Malformed(malformed) => malformed.order_id.as_str(),
            Content::Ignored => "",
        }
    }
}

/// The decoded values of a batch, from which its records borrow.
pub(crate) type Values = Vec<Result<Vec<u8>, String>>;

/// Decodes the base64 of every value, in the order of the batch.
pub(crate) fn values(event: &KafkaEvent) -> Values {
    event.partitions().flat_map(|(_, records)| records).map(KafkaRecord::value).collect()
}

/// Decodes every record of a batch from this topic, in the order of each partition.
pub(crate) fn read_all<'a>(
    event: &KafkaEvent,
    values: &'a Values,
    topic: Topic,
    stage: StageName,
) -> Vec<Record<'a>> {
    let listed = event
        .partitions()
        .flat_map(|(partition, records)| records.iter().map(move |record| (partition, record)));
    listed
        .zip(values)
        .map(|((partition, record), value)| {
            let (partition_number, offset) = (record.partition, record.offset);
            let position = RecordPosition { topic, partition: partition_number, offset };
            Record {
                identifier: ItemIdentifier { partition: partition.to_owned(), offset },
                position,
                timestamp_ms: record.timestamp_ms(),
                trace: record.trace(),
                content: content(record, value, position, stage),
            }
        })
        .collect()
}

fn content<'a>(
    record: &KafkaRecord,
    value: &'a Result<Vec<u8>, String>,
    position: RecordPosition,
    stage: StageName,
) -> Content<'a> {
    let decoded = match value {
        Ok(bytes) => Envelope::decode(bytes).and_then(|event| of_topic(event, position.topic)),
        Err(why) => Err(Box::new(MalformedEvent {
            reason: FailureReason::new(FailureCode::MalformedEvent, why.as_str()),
            order_id: None,
            correlation_id: None,
            payload: None,
        })),
    };
    match decoded {
        // The report of a malformed record is about no order, so no stage decides about it.
        Ok(event) if stage.spec().is_for(event.event_type) && !event.is_malformed_report() => {
            Content::Event(Box::new(event))
        }
        Ok(_) => Content::Ignored,
        Err(event) => Content::Malformed(Malformed {
            order_id: event
                .order_id
                .clone()
                .or_else(|| OrderId::from_record_key(&record.key()?))
                .unwrap_or_else(|| OrderId::from_position(&position)),
            digest: Digest::of(value.as_deref().unwrap_or_default()),
            event,
        }),
    }
}

/// Refuses an event that another topic carries.
fn of_topic(event: Envelope<'_>, topic: Topic) -> Result<Envelope<'_>, Box<MalformedEvent<'_>>> {
    if event.event_type.topic() == topic {
        return Ok(event);
    }
    let event_type = event.event_type;
    let text = format!("{event_type} belongs on {}, not on {topic}", event_type.topic());
    Err(Box::new(MalformedEvent {
        reason: FailureReason::new(FailureCode::UnexpectedEvent, text),
        correlation_id: Some(event.correlation_id.into_owned()),
        payload: Some(event.payload.text()).filter(|json| !is_nested_deeper(json, MAX_NESTING)),
        order_id: Some(event.order_id),
    }))
}
