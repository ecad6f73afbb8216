//! Turns the parsed document into a [`Template`], with references resolved.

use serde_json::Value;

use super::document::{
    Document, IntegrationProperties, MappingProperties, Resource, TopicProperties,
};
use super::names::Names;
use super::typed::typed;
use super::{Function, Template, TemplateError, Topic, function, mapping, table};

const FUNCTION: &str = "AWS::Serverless::Function";
const INTEGRATION: &str = "AWS::ApiGatewayV2::Integration";
const MAPPING: &str = "AWS::Lambda::EventSourceMapping";
const TOPIC: &str = "AWS::MSK::Topic";
const TABLE: &str = "AWS::DynamoDB::Table";

pub(super) fn template(document: Document) -> Result<Template, TemplateError> {
    let mut resources = Vec::new();
    for (logical_id, value) in document.resources {
        let resource: Resource = typed(&logical_id, value)?;
        resources.push((logical_id, resource));
    }
    let tables = resources.iter().filter(|(_, resource)| resource.kind == TABLE);
    let names = Names {
        parameters: &document.parameters,
        tables: tables.map(|(logical_id, _)| logical_id.clone()).collect(),
    };
    let mut template =
        Template { functions: vec![], mappings: vec![], topics: vec![], tables: vec![] };
    let (mut integrations, mut mappings) = (Vec::new(), Vec::new());
    for (id, resource) in resources {
        match resource.kind.as_str() {
            FUNCTION => {
                let globals = &document.globals.function;
                template.functions.push(function::function(&id, resource, globals, &names)?);
            }
            INTEGRATION => integrations.push((id, resource.properties)),
            MAPPING => mappings.push((id, resource.properties)),
            TOPIC => template.topics.push(topic(&id, resource.properties, &names)?),
            TABLE => template.tables.push(table::table(&id, resource.properties)?),
            _ => {}
        }
    }
    // Last, because integrations and mappings refer to functions and topics anywhere in the file.
    for (id, properties) in integrations {
        let properties: IntegrationProperties = typed(&id, properties)?;
        function_named(&id, &properties.integration_uri, &mut template.functions)?.serves_http =
            true;
    }
    for (id, properties) in mappings {
        let properties: MappingProperties = typed(&id, properties)?;
        if properties.enabled != Some(false) {
            let mapping = mapping::mapping(&id, properties, &template, &names)?;
            template.mappings.push(mapping);
        }
    }
    Ok(template)
}

/// Resolves `!Ref Function` or `!GetAtt Function.Arn`.
fn function_named<'a>(
    logical_id: &str,
    reference: &str,
    functions: &'a mut [Function],
) -> Result<&'a mut Function, TemplateError> {
    let name = reference.split('.').next().unwrap_or_default();
    functions
        .iter_mut()
        .find(|function| function.name.logical_id == name)
        .ok_or_else(|| TemplateError::no_function(logical_id, name))
}

fn topic(logical_id: &str, properties: Value, names: &Names<'_>) -> Result<Topic, TemplateError> {
    let properties: TopicProperties = typed(logical_id, properties)?;
    let count = |value: &Value, name: &str| {
        let count = names.number(value).and_then(|count| i32::try_from(count).ok());
        count.filter(|count| *count > 0).ok_or_else(|| {
            let problem =
                format!("{name} must be a number above zero, or a parameter with a Default");
            TemplateError::resource(logical_id, problem)
        })
    };
    Ok(Topic {
        partitions: count(&properties.partition_count, "PartitionCount")?,
        replication_factor: count(&properties.replication_factor, "ReplicationFactor")?,
        configs: configs(&properties.configs),
        name: properties.topic_name,
    })
}

/// The settings of a topic: lines `name=value`, joined and encoded as base64.
fn configs(value: &Value) -> Vec<(String, String)> {
    let lines = value.pointer("/Fn::Base64/1").and_then(Value::as_array);
    // An `!If` is a list, which only a deployment can resolve: it is ignored.
    let lines = lines.into_iter().flatten().filter_map(Value::as_str);
    let settings = lines.filter_map(|line| line.split_once('='));
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
