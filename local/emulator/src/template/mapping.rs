//! Reads an event-source mapping of the template, with AWS's defaults.

use std::time::Duration;

use serde_json::Value;

use super::document::MappingProperties;
use super::names::{Names, substitute};
use super::{Mapping, StartingPosition, Template, TemplateError};

/// AWS's defaults for a Kafka mapping.
const DEFAULT_BATCH_SIZE: i64 = 100;
const DEFAULT_WINDOW: Duration = Duration::from_millis(500);
/// No limit; also AWS's default.
const UNLIMITED: i64 = -1;
/// AWS's number of retries if they are unlimited but there is an on-failure destination.
const RETRIES_BEFORE_DESTINATION: u32 = 10;

/// `template` must already have its functions and topics.
pub(super) fn mapping(
    logical_id: &str,
    properties: MappingProperties,
    template: &Template,
    names: &Names<'_>,
) -> Result<Mapping, TemplateError> {
    let resource = Declaration { logical_id, template, names };
    let [topic] = properties.topics.as_slice() else {
        return Err(resource.error("Topics must name exactly one topic"));
    };
    let on_failure = properties.destination_config.on_failure.as_ref();
    let on_failure_topic = on_failure
        .map(|on_failure| resource.on_failure_topic(topic, &on_failure.destination))
        .transpose()?;
    let batch_size = resource.number(&properties.batch_size, DEFAULT_BATCH_SIZE, "BatchSize")?;
    let retries =
        resource.number(&properties.maximum_retry_attempts, UNLIMITED, "MaximumRetryAttempts")?;
    let window = &properties.maximum_batching_window_in_seconds;
    let age = &properties.maximum_record_age_in_seconds;
    Ok(Mapping {
        logical_id: logical_id.to_owned(),
        function: resource.function(&properties.function_name)?,
        topic: resource.topic(topic)?,
        starting_position: resource.starting_position(properties.starting_position.as_deref())?,
        consumer_group: properties
            .amazon_managed_kafka_event_source_config
            .consumer_group_id
            .or(properties.self_managed_kafka_event_source_config.consumer_group_id)
            .map_or_else(|| logical_id.to_owned(), |group| substitute(&group)),
        batch_size: usize::try_from(batch_size)
            .ok()
            .filter(|size| (1..=10_000).contains(size))
            .ok_or_else(|| resource.error("BatchSize must be from 1 to 10000"))?,
        window: resource
            .seconds(window, "MaximumBatchingWindowInSeconds")?
            .unwrap_or(DEFAULT_WINDOW),
        reports_item_failures: properties
            .function_response_types
            .iter()
            .any(|kind| kind == "ReportBatchItemFailures"),
        bisects_on_error: properties.bisect_batch_on_function_error,
        maximum_retries: u32::try_from(retries)
            .ok()
            .or_else(|| on_failure_topic.as_ref().map(|_| RETRIES_BEFORE_DESTINATION)),
        maximum_record_age: resource.seconds(age, "MaximumRecordAgeInSeconds")?,
        on_failure_topic,
    })
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

    fn number(
        &self,
        value: &Option<Value>,
        default: i64,
        name: &str,
    ) -> Result<i64, TemplateError> {
        let Some(value) = value else { return Ok(default) };
        self.names
            .number(value)
            .filter(|number| *number >= UNLIMITED)
            .ok_or_else(|| self.error(format!("{name} must be a whole number")))
    }

    /// `None` if it is absent or unlimited.
    fn seconds(
        &self,
        value: &Option<Value>,
        name: &str,
    ) -> Result<Option<Duration>, TemplateError> {
        let seconds = self.number(value, UNLIMITED, name)?;
        Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
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
            _ => Err(self.error("StartingPosition must be TRIM_HORIZON or LATEST")),
        }
    }
}
