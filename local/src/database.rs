//! Where are the tables: in a database inside this process, or behind a URL?
//!
//! The embedded database is dynoxide: it serves DynamoDB's protocol on a port of 127.0.0.1 and
//! keeps everything in memory. Tables are created from the template on either.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
    TableStatus, TimeToLiveSpecification,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::aws_settings::AwsSettings;
use crate::template::{KeyElement, SecondaryIndex, Table};

/// How long a table may take until it can be used.
const ACTIVE_WITHIN: Duration = Duration::from_secs(60);
/// How long requests that are under way may hold up the end of the embedded database.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A DynamoDB database, embedded or outside.
pub struct Database {
    endpoint: String,
    client: Client,
    table_prefix: String,
    server: Option<Server>,
}

struct Server {
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Why there is no usable database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The embedded database did not start.
    #[error("the embedded database did not start: {0}")]
    Embedded(String),
    /// No port is free.
    #[error("no port of 127.0.0.1 is free for the embedded database")]
    Port(#[source] std::io::Error),
    /// A table is described in a way that DynamoDB does not take.
    #[error("the template describes the table {table} in a way that DynamoDB refuses")]
    Description {
        /// The table.
        table: String,
        /// What is missing.
        #[source]
        source: Box<BuildError>,
    },
    /// A table could not be created.
    #[error("the table {table} could not be created at {endpoint}: {message}")]
    Table {
        /// The table.
        table: String,
        /// The database.
        endpoint: String,
        /// What the database said.
        message: String,
    },
    /// A table did not become usable in time.
    #[error("the table {table} at {endpoint} is not active after 60 s: see its state there")]
    Inactive {
        /// The table.
        table: String,
        /// The database.
        endpoint: String,
    },
}

impl Database {
    /// Starts a database in this process.
    ///
    /// # Errors
    /// [`DatabaseError`] when it cannot open its storage or a port.
    pub async fn embedded(
        settings: &AwsSettings,
        table_prefix: &str,
    ) -> Result<Self, DatabaseError> {
        let storage = dynoxide::Database::memory()
            .map_err(|error| DatabaseError::Embedded(error.to_string()))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(DatabaseError::Port)?;
        let address = listener.local_addr().map_err(DatabaseError::Port)?;
        let (shutdown, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let until = async {
                stopped.await.ok();
            };
            let served = dynoxide::server::serve_with_shutdown(listener, storage, until).await;
            if let Err(error) = served {
                tracing::warn!(error, "the embedded database ended");
            }
        });
        let server = Server { shutdown, task };
        Ok(Self::new(format!("http://{address}"), settings, table_prefix, Some(server)))
    }

    /// Uses the database at this URL.
    #[must_use]
    pub fn outside(endpoint: &str, settings: &AwsSettings, table_prefix: &str) -> Self {
        Self::new(endpoint.to_owned(), settings, table_prefix, None)
    }

    fn new(
        endpoint: String,
        settings: &AwsSettings,
        table_prefix: &str,
        server: Option<Server>,
    ) -> Self {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(settings.region())
            .credentials_provider(settings.credentials())
            .build();
        let client = Client::from_conf(config);
        Self { endpoint, client, table_prefix: table_prefix.to_owned(), server }
    }

    /// The URL of the database.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of the database.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the table with this logical id.
    #[must_use]
    pub fn table_name(&self, logical_id: &str) -> String {
        format!("{}{logical_id}", self.table_prefix)
    }

    /// Creates the tables that are not there yet, and waits until all can be used.
    ///
    /// # Errors
    /// [`DatabaseError`] names the table that is missing.
    pub async fn create_tables(&self, tables: &[Table]) -> Result<(), DatabaseError> {
        for table in tables {
            self.create_table(table).await?;
        }
        for table in tables {
            self.wait_until_active(table).await?;
            if let Some(attribute) = &table.time_to_live {
                self.expire_rows(table, attribute).await;
            }
        }
        Ok(())
    }

    async fn create_table(&self, table: &Table) -> Result<(), DatabaseError> {
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
        match request.send().await.map_err(|error| error.into_service_error()) {
            Ok(_) => Ok(()),
            Err(error) if error.is_resource_in_use_exception() => Ok(()),
            Err(error) => Err(DatabaseError::Table {
                table: name,
                endpoint: self.endpoint.clone(),
                message: DisplayErrorContext(&error).to_string(),
            }),
        }
    }

    async fn wait_until_active(&self, table: &Table) -> Result<(), DatabaseError> {
        let name = self.table_name(&table.logical_id);
        let deadline = tokio::time::Instant::now() + ACTIVE_WITHIN;
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
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Switches expiry on. A table that already has it refuses, and nothing here relies on it.
    async fn expire_rows(&self, table: &Table, attribute: &str) {
        let specification =
            TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
        let Ok(specification) = specification else { return };
        let asked = self
            .client
            .update_time_to_live()
            .table_name(self.table_name(&table.logical_id))
            .time_to_live_specification(specification)
            .send()
            .await;
        if let Err(error) = asked {
            tracing::debug!(table = table.logical_id, error = %DisplayErrorContext(&error),
                "expiry of rows stays as it is");
        }
    }

    /// Ends the embedded database; an outside one is left alone.
    pub async fn stop(&mut self) {
        let Some(Server { shutdown, mut task }) = self.server.take() else { return };
        // An end that is already there has dropped the receiver, which is as good.
        shutdown.send(()).ok();
        if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
    }
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

/// `None` for a table without indexes: DynamoDB refuses an empty list.
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
