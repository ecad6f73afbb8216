//! Creates the template's tables.
//!
//! An existing table is left unchanged, with its rows.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
    TableStatus, TimeToLiveSpecification,
};

use super::{Database, DatabaseError};
use crate::template::{KeyElement, SecondaryIndex, Table};

/// Limit for a new table to become active.
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Database {
    pub(super) async fn create_table(&self, table: &Table) -> Result<(), DatabaseError> {
        let name = self.table_name(&table.logical_id);
        let malformed = |source| DatabaseError::Description {
            table: table.logical_id.clone(),
            source: Box::new(source),
        };
        let request = self
            .client
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes(table).map_err(malformed)?))
            .set_key_schema(Some(key_schema(&table.key).map_err(malformed)?))
            .set_global_secondary_indexes(indexes(table).map_err(malformed)?);
        let endpoint = self.endpoint.clone();
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) => match error.into_err() {
                error if error.is_resource_in_use_exception() => Ok(()),
                error => {
                    Err(DatabaseError::Table { table: name, endpoint, message: message(&error) })
                }
            },
            Err(error) => Err(DatabaseError::Silent { endpoint, source: Box::new(error) }),
        }
    }

    pub(super) async fn wait_until_active(&self, table: &Table) -> Result<(), DatabaseError> {
        let name = self.table_name(&table.logical_id);
        let deadline = tokio::time::Instant::now() + ACTIVE_TIMEOUT;
        loop {
            let described = self.client.describe_table().table_name(&name).send().await;
            let status = described.ok().and_then(|table| table.table?.table_status);
            if status == Some(TableStatus::Active) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                return Err(DatabaseError::Inactive {
                    table: name,
                    endpoint: self.endpoint.clone(),
                });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Enables expiry. An error is not fatal: a table that already has expiry rejects the request.
    pub(super) async fn expire_rows(&self, table: &Table, attribute: &str) {
        let specification =
            TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
        let Ok(specification) = specification else { return };
        let updated = self
            .client
            .update_time_to_live()
            .table_name(self.table_name(&table.logical_id))
            .time_to_live_specification(specification)
            .send()
            .await;
        if let Err(error) = updated {
            tracing::debug!(table = table.logical_id, error = %DisplayErrorContext(&error),
                "cannot enable the expiry of rows");
        }
    }
}

/// The database's message or, without one, the causes.
fn message(error: &CreateTableError) -> String {
    let causes = || {
        let chain = successors(error.source(), |&cause| cause.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    error.message().map_or_else(causes, ToOwned::to_owned)
}

fn attributes(table: &Table) -> Result<Vec<AttributeDefinition>, BuildError> {
    table
        .attributes
        .iter()
        .map(|(name, kind)| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind.as_str().into())
                .build()
        })
        .collect()
}

fn key_schema(key: &[KeyElement]) -> Result<Vec<KeySchemaElement>, BuildError> {
    key.iter()
        .map(|element| {
            KeySchemaElement::builder()
                .attribute_name(&element.attribute)
                .key_type(element.kind.as_str().into())
                .build()
        })
        .collect()
}

/// `None` for a table without indexes: DynamoDB rejects an empty list.
fn indexes(table: &Table) -> Result<Option<Vec<GlobalSecondaryIndex>>, BuildError> {
    let index = |index: &SecondaryIndex| {
        let others = &index.non_key_attributes;
        let projection = Projection::builder()
            .projection_type(index.projection.as_str().into())
            .set_non_key_attributes((!others.is_empty()).then(|| others.clone()))
            .build();
        GlobalSecondaryIndex::builder()
            .index_name(&index.name)
            .set_key_schema(Some(key_schema(&index.key)?))
            .projection(projection)
            .build()
    };
    let indexes: Vec<_> = table.indexes.iter().map(index).collect::<Result<_, _>>()?;
    Ok((!indexes.is_empty()).then_some(indexes))
}
