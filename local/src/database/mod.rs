//! Where are the tables: in a database inside this process, or behind a URL?
//!
//! The embedded database is dynoxide: it serves DynamoDB's protocol on a port of 127.0.0.1 and
//! keeps everything in memory. Tables are created from the template on either.

mod tables;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_sdk_dynamodb::error::BuildError;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::aws_settings::AwsSettings;
use crate::template::Table;

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
