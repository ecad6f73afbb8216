//! The YAML types of the parts of a SAM template that the emulator reads.
//!
//! SAM and cfn-lint check the rest of the file. Short-form intrinsics lose their tag on reading:
//! `!Ref Greetings` becomes the text `Greetings`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, Parameter>,
    /// By name. Like all intrinsics, `!Equals [!Ref Archive, enabled]` has lost its tag.
    #[serde(default)]
    pub(super) conditions: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) globals: Globals,
    /// In the order of the file.
    #[serde(default)]
    pub(super) resources: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    pub(super) default: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Globals {
    #[serde(default)]
    pub(super) function: FunctionProperties,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Resource {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    /// The name of the condition under which the resource exists.
    pub(super) condition: Option<String>,
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) properties: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) build_properties: BuildProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BuildProperties {
    pub(super) binary: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionProperties {
    pub(super) timeout: Option<Value>,
    pub(super) memory_size: Option<Value>,
    #[serde(default)]
    pub(super) environment: Environment,
    #[serde(default)]
    pub(super) events: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Environment {
    #[serde(default)]
    pub(super) variables: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionEvent {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) properties: FunctionEventProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionEventProperties {
    pub(super) schedule: Option<String>,
    pub(super) enabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IntegrationProperties {
    /// `!GetAtt Function.Arn`.
    pub(super) integration_uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MappingProperties {
    pub(super) function_name: String,
    #[serde(default)]
    pub(super) topics: Vec<String>,
    #[serde(default)]
    pub(super) amazon_managed_kafka_event_source_config: KafkaConfig,
    #[serde(default)]
    pub(super) self_managed_kafka_event_source_config: KafkaConfig,
    pub(super) starting_position: Option<String>,
    #[serde(default)]
    pub(super) filter_criteria: Filters,
    pub(super) batch_size: Option<Value>,
    pub(super) maximum_batching_window_in_seconds: Option<Value>,
    #[serde(default)]
    pub(super) function_response_types: Vec<String>,
    #[serde(default)]
    pub(super) bisect_batch_on_function_error: bool,
    pub(super) maximum_retry_attempts: Option<Value>,
    pub(super) maximum_record_age_in_seconds: Option<Value>,
    #[serde(default)]
    pub(super) destination_config: DestinationConfig,
    pub(super) enabled: Option<bool>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KafkaConfig {
    pub(super) consumer_group_id: Option<String>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filters {
    #[serde(default)]
    pub(super) filters: Vec<Filter>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) pattern: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DestinationConfig {
    pub(super) on_failure: Option<OnFailure>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OnFailure {
    pub(super) destination: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TopicProperties {
    pub(super) topic_name: String,
    pub(super) partition_count: Value,
    pub(super) replication_factor: Value,
    #[serde(default)]
    pub(super) configs: Value,
}
