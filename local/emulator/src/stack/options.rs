//! The options of a stack: embedded or external parts, and paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::aws_settings::AwsSettings;
use crate::binaries::{self, BinariesError};
use crate::template::{Function, Template};

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
    /// Folder for this stack's own links to the functions that it builds, which a later build then
    /// does not replace.
    pub link_dir: Option<PathBuf>,
    /// Folder for the functions' logs.
    pub log_dir: PathBuf,
    /// URL of DynamoDB for the functions, if it differs (a proxy's, for example).
    pub function_dynamodb: Option<String>,
    /// Environment variables of the functions; they override the template's. A variable that the
    /// template gives to some functions goes to these only.
    pub function_env: Vec<(String, SecretString)>,
    /// Origins beside this machine's whose pages may use the HTTP API.
    pub allowed_origins: Vec<String>,
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
            link_dir: None,
            log_dir: PathBuf::from("target/function-logs"),
            function_dynamodb: None,
            function_env: Vec::new(),
            allowed_origins: Vec::new(),
            schedule_period: None,
            aws: AwsSettings::default(),
        }
    }
}

impl StackOptions {
    /// The executable of each function: from the folder of built functions, or built now.
    pub(super) async fn executables(
        &self,
        template: &Template,
    ) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
        let names: Vec<String> =
            template.functions.iter().map(|function| function.name.binary.clone()).collect();
        match &self.function_dir {
            Some(directory) => binaries::ready_made(directory, &names),
            None => {
                let workspace = self.template.parent().filter(|path| !path.as_os_str().is_empty());
                let workspace = workspace.unwrap_or_else(|| Path::new("."));
                let built = binaries::build(workspace, &names).await?;
                match &self.link_dir {
                    Some(folder) => binaries::link(built, folder),
                    None => Ok(built),
                }
            }
        }
    }

    /// The variables of the options that this function gets.
    pub(super) fn variables_of(
        &self,
        function: &Function,
        template: &Template,
    ) -> impl Iterator<Item = (String, String)> {
        let declares = |function: &Function, name: &str| {
            function.environment.iter().any(|(declared, _)| declared == name)
        };
        let variables = self.function_env.iter().filter(move |(name, _)| {
            declares(function, name) || !template.functions.iter().any(|it| declares(it, name))
        });
        variables.map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
    }

    pub(super) fn private_variables(&self) -> BTreeSet<String> {
        let names = self.function_env.iter().map(|(name, _)| name.clone());
        names.chain(self.aws.secret_names()).collect()
    }
}
