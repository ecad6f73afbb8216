//! How the spelled-out template becomes one that can be started, references resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::{
    Document, FunctionEvent, FunctionProperties, KeySchemaElement, MappingProperties, Parameter,
    Resource, TableProperties, TopicProperties,
};
use super::{
    Function, FunctionName, KeyElement, Mapping, SecondaryIndex, Setting, StartingPosition, Table,
    Template, TemplateError, Topic,
};

/// What AWS applies where a Kafka mapping says nothing.
const DEFAULT_BATCH_SIZE: i64 = 100;
const DEFAULT_WINDOW: Duration = Duration::from_millis(500);
/// What SAM applies where a function says nothing.
const DEFAULT_TIMEOUT_SECONDS: i64 = 3;
const DEFAULT_MEMORY_MB: i64 = 128;
/// AWS tries this often when retries have no end but there is a destination for failures.
const RETRIES_BEFORE_DESTINATION: u32 = 10;

/// The names that a reference can mean.
struct Names<'a> {
    parameters: &'a BTreeMap<String, Parameter>,
    tables: BTreeSet<String>,
}

pub(super) fn template(document: Document) -> Result<Template, TemplateError> {
    let mut resources = Vec::new();
    for (logical_id, value) in document.resources {
        let resource: Resource = typed(&logical_id, value)?;
        resources.push((logical_id, resource));
    }
    let names = Names {
        parameters: &document.parameters,
        tables: resources
            .iter()
            .filter(|(_, resource)| resource.kind == "AWS::DynamoDB::Table")
            .map(|(logical_id, _)| logical_id.clone())
            .collect(),
    };
    let mut template =
        Template { functions: vec![], mappings: vec![], topics: vec![], tables: vec![] };
    let mut mappings = Vec::new();
    for (id, resource) in resources {
        match resource.kind.as_str() {
            "AWS::Serverless::Function" => {
                let globals = &document.globals.function;
                template.functions.push(function(&id, resource, globals, &names)?);
            }
            "AWS::Lambda::EventSourceMapping" => mappings.push((id, resource.properties)),
            "AWS::MSK::Topic" => template.topics.push(topic(&id, resource.properties, &names)?),
            "AWS::DynamoDB::Table" => template.tables.push(table(&id, resource.properties)?),
            _ => {}
        }
    }
    // Mappings come last, because they name functions and topics from anywhere in the file.
    for (id, properties) in mappings {
        let properties: MappingProperties = typed(&id, properties)?;
        if properties.enabled != Some(false) {
            let mapping = mapping(&id, properties, &template, &names)?;
            template.mappings.push(mapping);
        }
    }
    Ok(template)
}

fn typed<T: DeserializeOwned>(logical_id: &str, value: Value) -> Result<T, TemplateError> {
    serde_json::from_value(value)
        .map_err(|error| TemplateError::resource(logical_id, error.to_string()))
}

fn function(
    logical_id: &str,
    resource: Resource,
    globals: &FunctionProperties,
    names: &Names<'_>,
) -> Result<Function, TemplateError> {
    let Some(binary) = resource.metadata.build_properties.binary else {
        return Err(TemplateError::resource(
            logical_id,
            "say which binary it runs: Metadata.BuildProperties.Binary",
        ));
    };
    let own: FunctionProperties = typed(logical_id, resource.properties)?;
    let timeout = number(own.timeout.as_ref().or(globals.timeout.as_ref()), names)
        .unwrap_or(Some(DEFAULT_TIMEOUT_SECONDS));
    let memory = number(own.memory_size.as_ref().or(globals.memory_size.as_ref()), names)
        .unwrap_or(Some(DEFAULT_MEMORY_MB));
    let (Some(timeout), Some(memory)) = (unsigned(timeout), unsigned(memory)) else {
        return Err(TemplateError::resource(
            logical_id,
            "Timeout and MemorySize must be whole numbers",
        ));
    };
    let mut variables = globals.environment.variables.clone();
    variables.extend(own.environment.variables);
    Ok(Function {
        name: FunctionName { binary, logical_id: logical_id.to_owned() },
        timeout: Duration::from_secs(timeout),
        memory_mb: memory,
        environment: environment(logical_id, variables, names)?,
        serves_http: serves_http(logical_id, own.events)?,
    })
}

fn serves_http(logical_id: &str, events: Map<String, Value>) -> Result<bool, TemplateError> {
    let mut serves_http = false;
    for (_, event) in events {
        match typed::<FunctionEvent>(logical_id, event)?.kind.as_str() {
            "HttpApi" => serves_http = true,
            other => {
                return Err(TemplateError::resource(
                    logical_id,
                    format!(
                        "the local run knows no event of type {other}; declare a topic that fires \
                         the function as an AWS::Lambda::EventSourceMapping"
                    ),
                ));
            }
        }
    }
    Ok(serves_http)
}

fn environment(
    logical_id: &str,
    variables: Map<String, Value>,
    names: &Names<'_>,
) -> Result<Vec<(String, Setting)>, TemplateError> {
    let mut environment = Vec::new();
    for (name, value) in variables {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => {
                return Err(TemplateError::resource(
                    logical_id,
                    format!("the variable {name} must be text, or a !Ref to a table or parameter"),
                ));
            }
        };
        let Some(setting) = names.setting(&text) else {
            return Err(TemplateError::resource(
                logical_id,
                format!("the variable {name} needs the parameter {text}: give it a Default"),
            ));
        };
        environment.push((name, setting));
    }
    Ok(environment)
}

impl Names<'_> {
    /// What a text in the environment stands for; `None` for a parameter without a value.
    fn setting(&self, text: &str) -> Option<Setting> {
        if text == "BootstrapServers" {
            return Some(Setting::BootstrapServers);
        }
        if self.tables.contains(text) {
            return Some(Setting::TableName(text.to_owned()));
        }
        match self.parameters.get(text).map(|parameter| &parameter.default) {
            None => Some(Setting::Text(text.to_owned())),
            Some(Some(Value::String(default))) => Some(Setting::Text(default.clone())),
            Some(Some(default)) => Some(Setting::Text(default.to_string())),
            Some(None) => None,
        }
    }
}

/// The whole number that a value or the parameter it names holds.
///
/// `None` when nothing is said; `Some(None)` when something is said that is no whole number.
fn number(value: Option<&Value>, names: &Names<'_>) -> Option<Option<i64>> {
    let value = value?;
    let value = value
        .as_str()
        .and_then(|name| names.parameters.get(name))
        .and_then(|parameter| parameter.default.as_ref())
        .unwrap_or(value);
    Some(match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    })
}

fn unsigned(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}

fn topic(logical_id: &str, properties: Value, names: &Names<'_>) -> Result<Topic, TemplateError> {
    let properties: TopicProperties = typed(logical_id, properties)?;
    let count = |value: &Value, name: &str| {
        number(Some(value), names)
            .flatten()
            .and_then(|count| i32::try_from(count).ok())
            .filter(|count| *count > 0)
            .ok_or_else(|| {
                TemplateError::resource(
                    logical_id,
                    format!("{name} must be a number above zero, or a parameter with a Default"),
                )
            })
    };
    Ok(Topic {
        partitions: count(&properties.partition_count, "PartitionCount")?,
        replication_factor: count(&properties.replication_factor, "ReplicationFactor")?,
        name: properties.topic_name,
    })
}

fn table(logical_id: &str, properties: Value) -> Result<Table, TemplateError> {
    let properties: TableProperties = typed(logical_id, properties)?;
    let key = |elements: Vec<KeySchemaElement>| {
        elements
            .into_iter()
            .map(|element| KeyElement { attribute: element.attribute_name, kind: element.key_type })
            .collect()
    };
    Ok(Table {
        logical_id: logical_id.to_owned(),
        attributes: properties
            .attribute_definitions
            .into_iter()
            .map(|attribute| (attribute.attribute_name, attribute.attribute_type))
            .collect(),
        key: key(properties.key_schema),
        indexes: properties
            .global_secondary_indexes
            .into_iter()
            .map(|index| SecondaryIndex {
                name: index.index_name,
                key: key(index.key_schema),
                projection: index.projection.projection_type.unwrap_or_else(|| "ALL".to_owned()),
                non_key_attributes: index.projection.non_key_attributes,
            })
            .collect(),
        time_to_live: properties
            .time_to_live_specification
            .filter(|time_to_live| time_to_live.enabled)
            .map(|time_to_live| time_to_live.attribute_name),
    })
}

fn mapping(
    logical_id: &str,
    properties: MappingProperties,
    template: &Template,
    names: &Names<'_>,
) -> Result<Mapping, TemplateError> {
    let fault = |problem: String| TemplateError::resource(logical_id, problem);
    // `!GetAtt Function.Arn` arrives as `Function.Arn`.
    let function_id = properties.function_name.split('.').next().unwrap_or_default();
    let function = template
        .functions
        .iter()
        .find(|function| function.name.logical_id == function_id)
        .ok_or_else(|| fault(format!("the template declares no function {function_id}")))?;
    let declared = |topic: &str| {
        template.topics.iter().find(|declared| declared.name == topic).map_or_else(
            || Err(fault(format!("the template declares no topic named {topic}"))),
            |topic| Ok(topic.name.clone()),
        )
    };
    let [topic] = properties.topics.as_slice() else {
        return Err(fault("Topics must name exactly one topic".to_owned()));
    };
    let on_failure_topic = match &properties.destination_config.on_failure {
        None => None,
        Some(on_failure) => match on_failure.destination.strip_prefix("kafka://") {
            Some(name) => Some(declared(name)?),
            None => {
                return Err(fault(
                    "the local run sends failures to a topic only: kafka://TOPIC".to_owned(),
                ));
            }
        },
    };
    let whole =
        |value: &Option<Value>, default: i64, name: &str| match number(value.as_ref(), names) {
            None => Ok(default),
            Some(Some(number)) if number >= -1 => Ok(number),
            Some(_) => Err(fault(format!("{name} must be a whole number"))),
        };
    let batch_size = whole(&properties.batch_size, DEFAULT_BATCH_SIZE, "BatchSize")?;
    let window = whole(
        &properties.maximum_batching_window_in_seconds,
        -1,
        "MaximumBatchingWindowInSeconds",
    )?;
    let retries = whole(&properties.maximum_retry_attempts, -1, "MaximumRetryAttempts")?;
    let age = whole(&properties.maximum_record_age_in_seconds, -1, "MaximumRecordAgeInSeconds")?;
    Ok(Mapping {
        logical_id: logical_id.to_owned(),
        function: function.name.clone(),
        topic: declared(topic)?,
        consumer_group: properties
            .amazon_managed_kafka_event_source_config
            .consumer_group_id
            .or(properties.self_managed_kafka_event_source_config.consumer_group_id)
            .unwrap_or_else(|| logical_id.to_owned()),
        starting_position: match properties.starting_position.as_deref() {
            Some("TRIM_HORIZON") => StartingPosition::TrimHorizon,
            Some("LATEST") => StartingPosition::Latest,
            _ => return Err(fault("StartingPosition must be TRIM_HORIZON or LATEST".to_owned())),
        },
        batch_size: usize::try_from(batch_size)
            .ok()
            .filter(|size| (1..=10_000).contains(size))
            .ok_or_else(|| fault("BatchSize must be from 1 to 10000".to_owned()))?,
        window: u64::try_from(window).map_or(DEFAULT_WINDOW, Duration::from_secs),
        reports_item_failures: properties
            .function_response_types
            .iter()
            .any(|kind| kind == "ReportBatchItemFailures"),
        bisects_on_error: properties.bisect_batch_on_function_error,
        maximum_retries: match u32::try_from(retries) {
            Ok(retries) => Some(retries),
            Err(_) => on_failure_topic.as_ref().map(|_| RETRIES_BEFORE_DESTINATION),
        },
        maximum_record_age: u64::try_from(age).ok().map(Duration::from_secs),
        on_failure_topic,
    })
}
