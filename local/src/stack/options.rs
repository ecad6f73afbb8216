//! What of a stack is embedded, what is outside, and where do its files go?

use std::{path::PathBuf, time::Duration};

use crate::aws_settings::AwsSettings;

/// What is to be started, and what is up already.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The template.
    pub template: PathBuf,
    /// Addresses of a Kafka broker to use instead of the embedded one.
    pub kafka: Option<String>,
    /// URL of a DynamoDB to use instead of the embedded one.
    pub dynamodb: Option<String>,
    /// URL of an Invoke API to use instead of hosting the functions.
    pub lambda: Option<String>,
    /// Port of the HTTP API; 0 takes any that is free.
    pub port: u16,
    /// What the names of the tables start with.
    pub table_prefix: String,
    /// Most processes of one function, and most invocations of one mapping at a time.
    pub processes: usize,
    /// Folder of ready-made functions; without it they are built.
    pub function_dir: Option<PathBuf>,
    /// Folder for the functions' logs.
    pub log_dir: PathBuf,
    /// The URL of DynamoDB that functions are told, where it is another, such as a proxy's.
    pub function_dynamodb: Option<String>,
    /// Further environment variables of the functions, which win over the template's.
    pub function_env: Vec<(String, String)>,
    /// The period of every schedule, in place of the template's.
    pub schedule_period: Option<Duration>,
    /// Region and credentials.
    pub aws: AwsSettings,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            template: PathBuf::from("template.yaml"),
            kafka: None,
            dynamodb: None,
            lambda: None,
            port: 0,
            table_prefix: String::new(),
            processes: 2,
            function_dir: None,
            log_dir: PathBuf::from("target/local-logs"),
            function_dynamodb: None,
            function_env: Vec::new(),
            schedule_period: None,
            aws: AwsSettings::default(),
        }
    }
}
