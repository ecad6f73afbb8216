//! What does a mapping of the template do, with AWS's own choice where it says nothing?

use std::time::Duration;

use serde_json::Value;

use super::document::MappingProperties;
use super::names::{Names, filled_in};
use super::{Mapping, StartingPosition, Template, TemplateError};

/// What AWS applies where a Kafka mapping says nothing.
const DEFAULT_BATCH_SIZE: i64 = 100;
const DEFAULT_WINDOW: Duration = Duration::from_millis(500);
/// How a template says that something has no end, which is also the default.
const WITHOUT_END: i64 = -1;
/// AWS tries this often when retries have no end but there is a destination for failures.
const RETRIES_BEFORE_DESTINATION: u32 = 10;

/// The mapping that these properties declare; functions and topics are those read already.
pub(super) fn mapping(
    logical_id: &str,
    properties: MappingProperties,
    template: &Template,
    names: &Names<'_>,
) -> Result<Mapping, TemplateError> {
    let resource = Declaration { logical_id, template, names };
    let [topic] = properties.topics.as_slice() else {
        return Err(resource.fault("Topics must name exactly one topic"));
    };
    let on_failure = properties.destination_config.on_failure.as_ref();
    let on_failure_topic = on_failure
        .map(|on_failure| resource.on_failure_topic(topic, &on_failure.destination))
        .transpose()?;
    let batch_size = resource.number(&properties.batch_size, DEFAULT_BATCH_SIZE, "BatchSize")?;
    let retries =
        resource.number(&properties.maximum_retry_attempts, WITHOUT_END, "MaximumRetryAttempts")?;
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
            .map_or_else(|| logical_id.to_owned(), |group| filled_in(&group)),
        batch_size: usize::try_from(batch_size)
            .ok()
            .filter(|size| (1..=10_000).contains(size))
            .ok_or_else(|| resource.fault("BatchSize must be from 1 to 10000"))?,
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

/// The resource that is being read, and what it can refer to.
struct Declaration<'a> {
    logical_id: &'a str,
    template: &'a Template,
    names: &'a Names<'a>,
}

impl Declaration<'_> {
    fn fault(&self, problem: impl Into<String>) -> TemplateError {
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
            .filter(|number| *number >= WITHOUT_END)
            .ok_or_else(|| self.fault(format!("{name} must be a whole number")))
    }

    /// A time; `None` where nothing is said or it has no end.
    fn seconds(
        &self,
        value: &Option<Value>,
        name: &str,
    ) -> Result<Option<Duration>, TemplateError> {
        let seconds = self.number(value, WITHOUT_END, name)?;
        Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
    }

    fn function(&self, reference: &str) -> Result<super::FunctionName, TemplateError> {
        // `!GetAtt Function.Arn` arrives as `Function.Arn`.
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
            .ok_or_else(|| self.fault(format!("the template declares no topic named {name}")))
    }

    fn on_failure_topic(&self, source: &str, uri: &str) -> Result<String, TemplateError> {
        match uri.strip_prefix("kafka://") {
            None => Err(self.fault("the local run sends failures to a topic only: kafka://TOPIC")),
            // AWS refuses it too: a record that fails would go round for ever.
            Some(name) if name == source => {
                Err(self.fault("failures must go to another topic than the one they come from"))
            }
            Some(name) => self.topic(name),
        }
    }

    fn starting_position(&self, position: Option<&str>) -> Result<StartingPosition, TemplateError> {
        match position {
            Some("TRIM_HORIZON") => Ok(StartingPosition::TrimHorizon),
            Some("LATEST") => Ok(StartingPosition::Latest),
            _ => Err(self.fault("StartingPosition must be TRIM_HORIZON or LATEST")),
        }
    }
}
