//! The options of a stack: embedded or external parts, and paths.

use std::{path::PathBuf, time::Duration};

use crate::aws_settings::AwsSettings;

#[derive(Debug, Clone)]
pub struct StackOptions {
    pub template: PathBuf,
    /// Addresses of a Kafka broker to use instead of the embedded one.
    pub kafka: Option<String>,
    /// URL of a DynamoDB to use instead of the embedded one.
    pub dynamodb: Option<String>,
    /// File of the embedded database; `None` keeps it in memory.
    pub database_file: Option<PathBuf>,
    /// URL of an Invoke API to use instead of hosting the functions.
    pub lambda: Option<String>,
    /// Port of the HTTP API; 0 for any free port.
    pub port: u16,
    /// Prefix of the table names.
    pub table_prefix: String,
    /// Maximum of concurrent invocations, for each function and for each mapping.
    pub processes: usize,
    /// Folder of built functions; `None` builds them.
    pub function_dir: Option<PathBuf>,
    /// Folder for the functions' logs.
    pub log_dir: PathBuf,
    /// URL of DynamoDB for the functions, if it differs (a proxy's, for example).
    pub function_dynamodb: Option<String>,
    /// Environment variables of the functions; they override the template's.
    pub function_env: Vec<(String, String)>,
    /// The period of every schedule; overrides the template's.
    pub schedule_period: Option<Duration>,
    pub aws: AwsSettings,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            template: PathBuf::from("template.yaml"),
            kafka: None,
            dynamodb: None,
            database_file: None,
            lambda: None,
            port: 0,
            table_prefix: String::new(),
            processes: 2,
            function_dir: None,
            log_dir: PathBuf::from("target/function-logs"),
            function_dynamodb: None,
            function_env: Vec::new(),
            schedule_period: None,
            aws: AwsSettings::default(),
        }
    }
}
