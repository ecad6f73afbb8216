//! What each record of a batch is to the function: an order's event, no event at all, or neither.

use contracts::{
    Envelope, FailureCode, FailureReason, MalformedEvent, OrderId, Source, Topic,
    failure::reports_bad_record,
};

use crate::{
    Digest,
    decision::AnyStage,
    mapping::{ItemIdentifier, KafkaEvent, KafkaRecord},
};

/// A record, read as far as it can be.
pub(crate) struct Incoming<'a> {
    pub(crate) identifier: ItemIdentifier,
    pub(crate) source: Source,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) traceparent: Option<String>,
    pub(crate) stage: &'a dyn AnyStage,
    pub(crate) content: Content,
}

/// What a record holds.
pub(crate) enum Content {
    /// An event that the stage decides about.
    Event(Envelope),
    /// Something that is no event of the topic.
    Poison(Poison),
    /// An event of the topic that is none of the stage's business.
    PassedBy,
}

/// A record that is no event of its topic.
pub(crate) struct Poison {
    pub(crate) malformed: Box<MalformedEvent>,
    /// The order named by the record, else by its key, else by where it lies.
    pub(crate) order_id: OrderId,
    pub(crate) digest: Digest,
}

/// A batch from a topic that fires no stage of this function.
#[derive(Debug, thiserror::Error)]
#[error(
    "no stage of this function is fired by topic {topic:?}: \
     check which topic its event-source mapping in template.yaml names"
)]
pub struct UnknownTopic {
    topic: String,
}

impl Incoming<'_> {
    /// What has to be handled one after the other: the records of one order.
    pub(crate) fn order_key(&self) -> &str {
        match &self.content {
            Content::Event(envelope) => envelope.order_id.as_str(),
            Content::Poison(poison) => poison.order_id.as_str(),
            Content::PassedBy => "",
        }
    }
}

/// Reads every record of a batch, in the order of each partition.
pub(crate) fn read<'a>(
    event: &KafkaEvent,
    stages: &'a [Box<dyn AnyStage>],
) -> Result<Vec<Incoming<'a>>, UnknownTopic> {
    let mut batch = Vec::new();
    for (partition, records) in &event.records {
        for record in records {
            let source = record.source(partition);
            let fired = Topic::from_name(&source.topic).and_then(|topic| {
                let stage = stages.iter().find(|stage| stage.is_fired_by(topic))?;
                Some((topic, stage.as_ref()))
            });
            let Some((topic, stage)) = fired else {
                return Err(UnknownTopic { topic: source.topic });
            };
            batch.push(Incoming {
                identifier: ItemIdentifier { partition: partition.clone(), offset: source.offset },
                timestamp_ms: record.timestamp_ms(),
                traceparent: record.header("traceparent"),
                content: content(record, topic, stage, &source),
                source,
                stage,
            });
        }
    }
    Ok(batch)
}

fn content(record: &KafkaRecord, topic: Topic, stage: &dyn AnyStage, source: &Source) -> Content {
    let value = record.value();
    let decoded = match &value {
        Ok(bytes) => Envelope::decode(bytes).and_then(|envelope| of_topic(envelope, topic)),
        Err(why) => Err(Box::new(MalformedEvent {
            reason: FailureReason::new(FailureCode::MalformedEvent, why.clone()),
            order_id: None,
            correlation_id: None,
            payload: None,
        })),
    };
    match decoded {
        Ok(envelope) if is_for(stage, &envelope) => Content::Event(envelope),
        Ok(_) => Content::PassedBy,
        Err(malformed) => Content::Poison(Poison {
            order_id: malformed
                .order_id
                .clone()
                .or_else(|| OrderId::parse(&record.key()?))
                .unwrap_or_else(|| {
                    OrderId::from_position(&source.topic, source.partition, source.offset)
                }),
            digest: Digest::of_bytes(value.as_deref().unwrap_or_default()),
            malformed,
        }),
    }
}

/// An event that belongs on the topic it came from.
fn of_topic(envelope: Envelope, topic: Topic) -> Result<Envelope, Box<MalformedEvent>> {
    if envelope.event_type.topic() == topic {
        return Ok(envelope);
    }
    let event_type = envelope.event_type;
    Err(Box::new(MalformedEvent {
        reason: FailureReason::new(
            FailureCode::UnexpectedEvent,
            format!("{event_type} belongs on {}, not on {topic}", event_type.topic()),
        ),
        order_id: Some(envelope.order_id),
        correlation_id: Some(envelope.correlation_id),
        payload: Some(envelope.payload.into()),
    }))
}

/// Whether the stage decides about the event. The report of a bad record is about no order, so no
/// stage decides about it.
fn is_for(stage: &dyn AnyStage, envelope: &Envelope) -> bool {
    stage.consumes().contains(&envelope.event_type) && !reports_bad_record(&envelope.payload)
}
