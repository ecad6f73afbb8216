//! Reads a table of the template.

use serde::Deserialize;
use serde_json::Value;

use super::typed::typed;
use super::{KeyElement, SecondaryIndex, Table, TemplateError};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeySchemaElement>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexProperties>,
    time_to_live_specification: Option<TimeToLive>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeySchemaElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeySchemaElement>,
    #[serde(default)]
    projection: Projection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Projection {
    projection_type: Option<String>,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    #[serde(default)]
    enabled: bool,
}

pub(super) fn table(logical_id: &str, properties: Value) -> Result<Table, TemplateError> {
    let properties: TableProperties = typed(logical_id, properties)?;
    let attributes = properties.attribute_definitions.into_iter();
    let time_to_live = properties.time_to_live_specification;
    Ok(Table {
        logical_id: logical_id.to_owned(),
        attributes: attributes
            .map(|attribute| (attribute.attribute_name, attribute.attribute_type))
            .collect(),
        key: key(properties.key_schema),
        indexes: properties.global_secondary_indexes.into_iter().map(index).collect(),
        time_to_live: time_to_live
            .filter(|time_to_live| time_to_live.enabled)
            .map(|time_to_live| time_to_live.attribute_name),
    })
}

fn key(elements: Vec<KeySchemaElement>) -> Vec<KeyElement> {
    elements
        .into_iter()
        .map(|element| KeyElement { attribute: element.attribute_name, kind: element.key_type })
        .collect()
}

fn index(index: IndexProperties) -> SecondaryIndex {
    SecondaryIndex {
        name: index.index_name,
        key: key(index.key_schema),
        projection: index.projection.projection_type.unwrap_or_else(|| "ALL".to_owned()),
        non_key_attributes: index.projection.non_key_attributes,
    }
}
