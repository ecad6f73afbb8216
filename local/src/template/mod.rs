//! What does `template.yaml` say is there: functions, mappings, topics and tables?
//!
//! The template is the one description of the topology. Whatever is read here has been checked:
//! every mapping names a declared function and a declared topic.

mod document;
mod error;
mod resolve;

use std::path::Path;
use std::time::Duration;

pub use error::{TemplateError, YamlError};

/// Everything the local run starts.
#[derive(Debug, Clone)]
pub struct Template {
    /// The functions, in the order of the file.
    pub functions: Vec<Function>,
    /// The event-source mappings that are enabled, in the order of the file.
    pub mappings: Vec<Mapping>,
    /// The topics, dead-letter topics included.
    pub topics: Vec<Topic>,
    /// The tables.
    pub tables: Vec<Table>,
}

/// Which function: the name it is invoked by, and the name of its resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionName {
    /// Name of the binary, which is also the function's name at the Invoke API.
    pub binary: String,
    /// Logical id in the template.
    pub logical_id: String,
}

/// A function and how it is to be run.
#[derive(Debug, Clone)]
pub struct Function {
    /// What it is called.
    pub name: FunctionName,
    /// Longest that one invocation may take.
    pub timeout: Duration,
    /// Memory in megabytes; told to the process, not enforced.
    pub memory_mb: u64,
    /// Environment variables, those of `Globals` first.
    pub environment: Vec<(String, Setting)>,
    /// Whether requests to the HTTP API go to this function.
    pub serves_http: bool,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The value as it stands.
    Text(String),
    /// The addresses of the brokers.
    BootstrapServers,
    /// The name of the table with this logical id.
    TableName(String),
}

/// An event-source mapping: which topic fires which function, and how.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Logical id in the template.
    pub logical_id: String,
    /// The function that is invoked.
    pub function: FunctionName,
    /// The topic that is read.
    pub topic: String,
    /// Under which the offsets are committed.
    pub consumer_group: String,
    /// Where reading starts while nothing is committed.
    pub starting_position: StartingPosition,
    /// Most records in one invocation.
    pub batch_size: usize,
    /// How long a batch is gathered; zero invokes with what is there.
    pub window: Duration,
    /// Whether the function's list of failed records is read (`ReportBatchItemFailures`).
    pub reports_item_failures: bool,
    /// Whether a batch that makes the function fail is halved (`BisectBatchOnFunctionError`).
    pub bisects_on_error: bool,
    /// How often a batch is tried again; `None` is without end.
    pub maximum_retries: Option<u32>,
    /// Age from which a record is given up; `None` is never.
    pub maximum_record_age: Option<Duration>,
    /// The topic that takes the records which are given up.
    pub on_failure_topic: Option<String>,
}

/// Where a mapping starts to read a partition without a committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// At the oldest record.
    TrimHorizon,
    /// After the newest record.
    Latest,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The name on the broker.
    pub name: String,
    /// How many partitions it is created with.
    pub partitions: i32,
    /// How many copies of each partition there are to be, brokers permitting.
    pub replication_factor: i32,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Logical id in the template.
    pub logical_id: String,
    /// Name and type (`S`, `N`, `B`) of each key attribute.
    pub attributes: Vec<(String, String)>,
    /// The key of the table.
    pub key: Vec<KeyElement>,
    /// Its global secondary indexes.
    pub indexes: Vec<SecondaryIndex>,
    /// The attribute that holds a row's time of expiry, where rows expire.
    pub time_to_live: Option<String>,
}

/// One attribute of a key.
#[derive(Debug, Clone)]
pub struct KeyElement {
    /// Name of the attribute.
    pub attribute: String,
    /// `HASH` or `RANGE`.
    pub kind: String,
}

/// A global secondary index.
#[derive(Debug, Clone)]
pub struct SecondaryIndex {
    /// Name of the index.
    pub name: String,
    /// Its key.
    pub key: Vec<KeyElement>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// What an `INCLUDE` projection holds beside the keys.
    pub non_key_attributes: Vec<String>,
}

impl Template {
    /// Reads and checks a template.
    ///
    /// # Errors
    /// [`TemplateError`] names the first place that has to change.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })?;
        let document = serde_saphyr::from_str(&text).map_err(|error| TemplateError::Malformed {
            path: path.to_owned(),
            line: error.location().map_or(1, |location| location.line()),
            source: Box::new(YamlError(one_line(&error))),
        })?;
        resolve::template(document)
    }

    /// The function that the HTTP API invokes, if there is one.
    #[must_use]
    pub fn http_function(&self) -> Option<&Function> {
        self.functions.iter().find(|function| function.serves_http)
    }
}

/// The parser's message without the excerpt that it draws over several lines.
fn one_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string().lines().collect::<Vec<_>>().join(" ")
}
