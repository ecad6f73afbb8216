//! Reads an event-source mapping of the template, with AWS's defaults.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::document::MappingProperties;
use super::names::Names;
use super::{Mapping, StartingPosition, Template, TemplateError};
use crate::filter_criteria::FilterCriteria;

/// AWS's defaults for a Kafka mapping.
const DEFAULT_BATCH_SIZE: usize = 100;
const DEFAULT_WINDOW: Duration = Duration::from_millis(500);
/// AWS's number of retries if they are unlimited but there is an on-failure destination.
const RETRIES_BEFORE_DESTINATION: u32 = 10;
/// Properties that change nothing on one machine.
const WITHOUT_EFFECT: [&str; 8] = [
    "EventSourceArn",
    "KmsKeyArn",
    "LoggingConfig",
    "MetricsConfig",
    "ProvisionedPollerConfig",
    "SelfManagedEventSource",
    "SourceAccessConfigurations",
    "Tags",
];

/// `template` must already have its functions and topics.
pub(super) fn mapping(
    logical_id: &str,
    properties: MappingProperties,
    template: &Template,
    names: &Names<'_>,
) -> Result<Mapping, TemplateError> {
    let resource = Declaration { logical_id, template, names };
    resource.refuse_unsupported(&properties)?;
    let [topic] = properties.topics.as_slice() else {
        return Err(resource.error("Topics must name exactly one topic"));
    };
    let topic = &names.text(topic);
    let on_failure = properties.destination_config.on_failure.as_ref();
    let on_failure_topic = on_failure
        .map(|on_failure| resource.on_failure_topic(topic, &names.text(&on_failure.destination)))
        .transpose()?;
    let retries =
        resource.number(&properties.maximum_retry_attempts, -1..=10_000, "MaximumRetryAttempts")?;
    let batch_size = resource.number(&properties.batch_size, 1..=10_000, "BatchSize")?;
    let window = &properties.maximum_batching_window_in_seconds;
    let window = resource.number(window, 0..=300, "MaximumBatchingWindowInSeconds")?;
    let filters = properties.filter_criteria.filters;
    let patterns: Vec<_> = filters.into_iter().map(|filter| filter.pattern).collect();
    Ok(Mapping {
        logical_id: logical_id.to_owned(),
        function: resource.function(&properties.function_name)?,
        topic: resource.topic(topic)?,
        starting_position: resource.starting_position(properties.starting_position.as_deref())?,
        filters: FilterCriteria::parse(&patterns)
            .map_err(|error| resource.error(format!("FilterCriteria: {error}")))?,
        maximum_record_age: resource.record_age(&properties.maximum_record_age_in_seconds)?,
        reports_item_failures: resource
            .reports_item_failures(&properties.function_response_types)?,
        consumer_group: properties
            .amazon_managed_kafka_event_source_config
            .consumer_group_id
            .or(properties.self_managed_kafka_event_source_config.consumer_group_id)
            .map_or_else(|| logical_id.to_owned(), |group| names.text(&group)),
        batch_size: batch_size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(DEFAULT_BATCH_SIZE),
        window: duration(window).unwrap_or(DEFAULT_WINDOW),
        bisects_on_error: properties.bisect_batch_on_function_error,
        maximum_retries: retries
            .and_then(|retries| u32::try_from(retries).ok())
            .or_else(|| on_failure_topic.as_ref().map(|_| RETRIES_BEFORE_DESTINATION)),
        on_failure_topic,
    })
}

/// `None` for an absent or unlimited (-1) number of seconds.
fn duration(seconds: Option<i64>) -> Option<Duration> {
    seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
}

/// The resource that is read, and the resources that it can reference.
struct Declaration<'a> {
    logical_id: &'a str,
    template: &'a Template,
    names: &'a Names<'a>,
}

impl Declaration<'_> {
    fn error(&self, problem: impl Into<String>) -> TemplateError {
        TemplateError::resource(self.logical_id, problem)
    }

    /// An ignored property would let the local run differ from AWS unnoticed.
    fn refuse_unsupported(&self, properties: &MappingProperties) -> Result<(), TemplateError> {
        let managed = &properties.amazon_managed_kafka_event_source_config.others;
        let self_managed = &properties.self_managed_kafka_event_source_config.others;
        let own = properties.others.keys().filter(|name| !WITHOUT_EFFECT.contains(&name.as_str()));
        let mut unsupported = own
            .chain(managed.keys())
            .chain(self_managed.keys())
            .chain(properties.filter_criteria.others.keys())
            .chain(properties.destination_config.others.keys());
        unsupported.next().map_or(Ok(()), |name| {
            let problem =
                format!("the property {name} is not supported by the local run (remove it)");
            Err(self.error(problem))
        })
    }

    fn number(
        &self,
        value: &Option<Value>,
        range: RangeInclusive<i64>,
        name: &str,
    ) -> Result<Option<i64>, TemplateError> {
        let Some(value) = value else { return Ok(None) };
        let number = self.names.number(value).filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (first, last) = range.into_inner();
            self.error(format!("{name} must be a whole number from {first} to {last}"))
        })
    }

    fn record_age(&self, value: &Option<Value>) -> Result<Option<Duration>, TemplateError> {
        let age = self.number(value, -1..=604_800, "MaximumRecordAgeInSeconds")?;
        if age.is_some_and(|age| (0..60).contains(&age)) {
            return Err(self.error("MaximumRecordAgeInSeconds must be -1, or from 60 to 604800"));
        }
        Ok(duration(age))
    }

    fn reports_item_failures(&self, types: &[String]) -> Result<bool, TemplateError> {
        match types {
            [] => Ok(false),
            [kind] if kind == "ReportBatchItemFailures" => Ok(true),
            _ => Err(self.error("FunctionResponseTypes must be [ReportBatchItemFailures]")),
        }
    }

    fn function(&self, reference: &str) -> Result<super::FunctionName, TemplateError> {
        // `!GetAtt Function.Arn` is read as `Function.Arn`.
        let logical_id = reference.split('.').next().unwrap_or_default();
        let functions = &self.template.functions;
        functions
            .iter()
            .find(|function| function.name.logical_id == logical_id)
            .map(|function| function.name.clone())
            .ok_or_else(|| TemplateError::no_function(self.logical_id, logical_id))
    }

    fn topic(&self, name: &str) -> Result<String, TemplateError> {
        let declared = self.template.topics.iter().find(|topic| topic.name == name);
        declared
            .map(|topic| topic.name.clone())
            .ok_or_else(|| self.error(format!("the template does not declare the topic {name}")))
    }

    fn on_failure_topic(&self, source: &str, uri: &str) -> Result<String, TemplateError> {
        match uri.strip_prefix("kafka://") {
            None => {
                Err(self
                    .error("only topics are supported as on-failure destinations: kafka://TOPIC"))
            }
            // AWS rejects it too: a record that fails would be delivered again forever.
            Some(name) if name == source => {
                Err(self.error("the on-failure destination must not be the mapping's own topic"))
            }
            Some(name) => self.topic(name),
        }
    }

    fn starting_position(&self, position: Option<&str>) -> Result<StartingPosition, TemplateError> {
        match position {
            Some("TRIM_HORIZON") => Ok(StartingPosition::TrimHorizon),
            Some("LATEST") => Ok(StartingPosition::Latest),
            Some("AT_TIMESTAMP") => Err(self.error(
                "the StartingPosition AT_TIMESTAMP is not supported by the local run (use \
                 TRIM_HORIZON or LATEST)",
            )),
            _ => Err(self.error("StartingPosition must be TRIM_HORIZON or LATEST")),
        }
    }
}
