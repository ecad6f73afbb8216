//! Turns the parsed document into a [`Template`], with references resolved.

use std::collections::BTreeMap;

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
        if !exists(&id, &resource, &document.conditions, &names)? {
            continue;
        }
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

/// True unless the resource is one that is read and its condition does not hold with the default
/// parameters.
///
/// Without its tag a condition is a list, so only `!Equals` of a parameter and a text can be told
/// from the others.
fn exists(
    logical_id: &str,
    resource: &Resource,
    conditions: &BTreeMap<String, Value>,
    names: &Names<'_>,
) -> Result<bool, TemplateError> {
    let Some(condition) = &resource.condition else { return Ok(true) };
    if ![FUNCTION, INTEGRATION, MAPPING, TOPIC, TABLE].contains(&resource.kind.as_str()) {
        return Ok(true);
    }
    let value = conditions.get(condition).and_then(Value::as_array).map(Vec::as_slice);
    let holds = match value {
        Some([Value::String(name), Value::String(text)]) => names.equals(name, text),
        _ => None,
    };
    holds.ok_or_else(|| {
        let problem = format!(
            "the condition {condition} is not supported by the local run: declare it as !Equals \
             of a parameter with a Default and a text"
        );
        TemplateError::resource(logical_id, problem)
    })
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
        configs: configs(logical_id, &properties.configs)?,
        name: names.text(&properties.topic_name),
    })
}

/// The Base64 of a JSON object, as MSK expects it.
fn configs(logical_id: &str, value: &Value) -> Result<Vec<(String, String)>, TemplateError> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    // The text itself, or that of an `!Sub` with variables.
    let text = ["/Fn::Base64/0", "/Fn::Base64"].iter().find_map(|at| value.pointer(at)?.as_str());
    let configs: Option<BTreeMap<String, String>> =
        text.and_then(|text| serde_json::from_str(text).ok());
    let configs = configs.ok_or_else(|| {
        let problem = "Configs must be Fn::Base64 of a JSON object of names and texts";
        TemplateError::resource(logical_id, problem)
    })?;
    // Only a deployment resolves the variables of an `!Sub`.
    Ok(configs.into_iter().filter(|(_, value)| !value.contains("${")).collect())
}
