//! A DynamoDB database: embedded in this process, or external at a URL.
//!
//! The embedded database is dynoxide: it serves DynamoDB's protocol on a port of 127.0.0.1 and
//! keeps everything in memory or, to survive a restart, in a file. The tables are created from the
//! template in all cases.

mod server;
mod tables;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use axum::http::Uri;

use crate::aws_settings::AwsSettings;
use crate::loopback::{LoopbackPort, LoopbackServer, Origins};
use crate::template::Table;
use server::Storage;

/// Limit for each attempt of a request to an external database. The SDK makes three.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Database {
    endpoint: String,
    client: Client,
    table_prefix: String,
    server: Option<LoopbackServer>,
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("cannot start the embedded database: {0}")]
    Embedded(String),
    #[error(
        "cannot open the database {path}: {message} (free space on its disk if it is full, make it \
         writable, or move it away)",
        path = path.display()
    )]
    File { path: PathBuf, message: String },
    #[error("no port of 127.0.0.1 is free for the embedded database")]
    Port(#[source] std::io::Error),
    #[error("the template's definition of the table {table} is not valid in DynamoDB")]
    Description {
        table: String,
        #[source]
        source: Box<BuildError>,
    },
    #[error(
        "no DynamoDB responds at {endpoint}: start it, or omit --dynamodb and \
         AWS_ENDPOINT_URL_DYNAMODB to use the embedded one"
    )]
    Silent {
        endpoint: String,
        #[source]
        source: Box<SdkError<CreateTableError>>,
    },
    #[error("cannot create the table {table} at {endpoint}: {message}")]
    Table { table: String, endpoint: String, message: String },
    #[error("the table {table} at {endpoint} is not active after 60 s: check its status there")]
    Inactive { table: String, endpoint: String },
}

/// False for TLS, which needs the SDK's own client.
fn is_on_this_machine(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    uri.scheme_str() == Some("http") && (is_loopback || host == "localhost")
}

impl Database {
    /// Starts a database in this process.
    ///
    /// # Errors
    /// [`DatabaseError`] if it cannot open its storage or a port.
    pub async fn embedded(
        settings: &AwsSettings,
        table_prefix: &str,
    ) -> Result<Self, DatabaseError> {
        let storage = dynoxide::Database::memory();
        let storage = storage.map_err(|error| DatabaseError::Embedded(error.to_string()))?;
        Self::serve(Storage::new(storage, None), settings, table_prefix).await
    }

    /// Starts a database in this process that keeps its items in a file.
    ///
    /// # Errors
    /// As [`Self::embedded`].
    pub async fn kept_in(
        file: &Path,
        settings: &AwsSettings,
        table_prefix: &str,
    ) -> Result<Self, DatabaseError> {
        let path = file.to_owned();
        match dynoxide::Database::new(&file.to_string_lossy()) {
            Ok(storage) => {
                Self::serve(Storage::new(storage, Some(path)), settings, table_prefix).await
            }
            Err(error) => Err(DatabaseError::File { path, message: error.to_string() }),
        }
    }

    async fn serve(
        storage: Storage,
        settings: &AwsSettings,
        table_prefix: &str,
    ) -> Result<Self, DatabaseError> {
        let port = LoopbackPort::bind(0).await.map_err(DatabaseError::Port)?;
        let server = port.serve(server::routes(storage), Origins::None);
        Ok(Self::new(server.url(), settings, table_prefix, Some(server)))
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
        server: Option<LoopbackServer>,
    ) -> Self {
        // By default the SDK waits for ever for a server that accepts connections and is silent.
        let mut timeouts = TimeoutConfig::builder();
        timeouts.set_operation_attempt_timeout(server.is_none().then_some(ATTEMPT_TIMEOUT));
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .timeout_config(timeouts.build())
            .endpoint_url(&endpoint)
            .region(settings.region())
            .credentials_provider(settings.credentials());
        // The SDK's own client would use a proxy that the environment names.
        if is_on_this_machine(&endpoint) {
            config.set_http_client(Some(aws_smithy_http_client::Builder::new().build_http()));
        }
        let client = Client::from_conf(config.build());
        Self { endpoint, client, table_prefix: table_prefix.to_owned(), server }
    }

    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the table with this logical id.
    #[must_use]
    pub fn table_name(&self, logical_id: &str) -> String {
        format!("{}{logical_id}", self.table_prefix)
    }

    /// Creates the missing tables, and waits until all are active.
    ///
    /// # Errors
    /// [`DatabaseError`] names the table that is not usable.
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

    /// Stops the embedded database. Does nothing to an external one.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }
}
