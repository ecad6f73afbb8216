//! What does `template.yaml` say is there: functions, mappings, topics and tables?
//!
//! The template is the one description of the topology. Whatever is read here has been checked:
//! every mapping names a declared function and a declared topic.

mod document;
mod error;
mod function;
mod mapping;
mod names;
mod resolve;
mod table;
mod typed;

use std::path::Path;
use std::time::Duration;

pub use error::{TemplateError, YamlError};
use serde::de::DeserializeOwned;
use serde_json::Value;

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
    /// The schedules that invoke it.
    pub schedules: Vec<Schedule>,
}

/// A schedule that invokes a function at a fixed rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Name of the event in the function's resource.
    pub name: String,
    /// The time between two invocations.
    pub period: Duration,
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
    /// Settings of its own, but for those that depend on a condition of the template.
    pub configs: Vec<(String, String)>,
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
        resolve::template(parse(path)?)
    }

    /// The whole file as it is spelled, for what a [`Template`] leaves out.
    ///
    /// Short-form intrinsics have lost their tag: `!Ref Orders` is the text `Orders`.
    ///
    /// # Errors
    /// When there is no such file, or it is no YAML.
    pub fn as_spelled(path: &Path) -> Result<Value, TemplateError> {
        parse(path)
    }

    /// The function that the HTTP API invokes, if there is one.
    #[must_use]
    pub fn http_function(&self) -> Option<&Function> {
        self.functions.iter().find(|function| function.serves_http)
    }
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, TemplateError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text).map_err(|error| TemplateError::Malformed {
        path: path.to_owned(),
        line: error.location().map_or(1, |location| location.line()),
        source: Box::new(YamlError(one_line(&error))),
    })
}

/// The parser's message without the excerpt that it draws over several lines.
fn one_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Partitions: { Type: Number, Default: 4 }
  Currency: { Type: String, Default: EUR }
Globals:
  Function:
    Timeout: 60
    Environment:
      Variables:
        KAFKA_BOOTSTRAP_SERVERS: !GetAtt KafkaCluster.BootstrapServers
        ROW_TTL_DAYS: "30"
        LOUD: true
Resources:
  AcceptFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: accept } }
    Properties:
      MemorySize: 512
      Environment:
        Variables:
          ORDERS_TABLE: !Ref OrdersTable
          CURRENCY: !Ref Currency
          ROW_TTL_DAYS: "7"
      Events:
        Http: { Type: HttpApi }
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !GetAtt AcceptFunction.Arn
      Topics: [orders]
      StartingPosition: LATEST
  Sleeping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref AcceptFunction
      Topics: [orders]
      StartingPosition: LATEST
      Enabled: false
  OrdersTopic:
    Type: AWS::MSK::Topic
    Properties:
      ClusterArn: !Select [1, !Split ["/", !Ref ClusterArn]]
      TopicName: orders
      PartitionCount: !Ref Partitions
      ReplicationFactor: 3
      Configs:
        Fn::Base64: !Join
          - "\n"
          - - message.timestamp.type=LogAppendTime
            - !If [Copies, min.insync.replicas=2, min.insync.replicas=1]
  OrdersTable:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions:
        - { AttributeName: orderId, AttributeType: S }
        - { AttributeName: customerId, AttributeType: S }
      KeySchema: [{ AttributeName: orderId, KeyType: HASH }]
      GlobalSecondaryIndexes:
        - IndexName: by-customer
          KeySchema: [{ AttributeName: customerId, KeyType: HASH }]
          Projection: { ProjectionType: KEYS_ONLY }
      TimeToLiveSpecification: { AttributeName: expiresAt, Enabled: true }
"#;

    fn read(text: &str) -> Result<Template, TemplateError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("template.yaml");
        std::fs::write(&path, text).unwrap();
        Template::read(&path)
    }

    /// The message for the template with one text in place of another.
    fn fault(replaced: &str, by: &str) -> String {
        assert!(TEMPLATE.contains(replaced), "{replaced}");
        read(&TEMPLATE.replacen(replaced, by, 1)).unwrap_err().to_string()
    }

    #[test]
    fn references_and_globals_reach_the_environment() {
        let template = read(TEMPLATE).unwrap();
        let function = template.http_function().unwrap();
        let text = |text: &str| Setting::Text(text.to_owned());
        let expected = [
            ("KAFKA_BOOTSTRAP_SERVERS", Setting::BootstrapServers),
            ("ROW_TTL_DAYS", text("7")),
            ("LOUD", text("true")),
            ("ORDERS_TABLE", Setting::TableName("OrdersTable".to_owned())),
            ("CURRENCY", text("EUR")),
        ];
        let expected = expected.map(|(name, setting)| (name.to_owned(), setting));
        assert_eq!(function.environment, expected);
        assert_eq!((function.memory_mb, function.timeout), (512, Duration::from_secs(60)));
    }

    #[test]
    fn a_mapping_that_says_little_gets_what_aws_applies() {
        let template = read(TEMPLATE).unwrap();
        let [mapping] = template.mappings.as_slice() else { panic!("one mapping is enabled") };
        assert_eq!(mapping.function.binary, "accept");
        assert_eq!(mapping.consumer_group, "Mapping");
        assert_eq!((mapping.batch_size, mapping.window), (100, Duration::from_millis(500)));
        assert_eq!((mapping.maximum_retries, mapping.maximum_record_age), (None, None));
        assert!(!mapping.reports_item_failures && !mapping.bisects_on_error);
    }

    #[test]
    fn retries_without_end_are_ten_where_failures_have_a_destination() {
        let text = TEMPLATE.replacen(
            "      StartingPosition: LATEST\n  Sleeping",
            "      StartingPosition: LATEST\n      DestinationConfig: { OnFailure: { Destination: kafka://dead } }\n  DeadTopic:\n    Type: AWS::MSK::Topic\n    Properties: { TopicName: dead, PartitionCount: 1, ReplicationFactor: 1 }\n  Sleeping",
            1,
        );
        let template = read(&text).unwrap();
        let mapping = template.mappings.first().unwrap();
        assert_eq!(mapping.on_failure_topic.as_deref(), Some("dead"));
        assert_eq!(mapping.maximum_retries, Some(10));
    }

    #[test]
    fn a_function_serves_http_as_an_event_says_or_an_integration() {
        let integration = "Resources:\n  Http:\n    Type: AWS::ApiGatewayV2::Integration\n    Properties: { IntegrationUri: !GetAtt AcceptFunction.Arn }\n";
        let silent = TEMPLATE.replacen("Http: { Type: HttpApi }", "{}", 1);
        assert!(read(&silent).unwrap().http_function().is_none());
        let integrated = silent.replacen("Resources:\n", integration, 1);
        assert_eq!(read(&integrated).unwrap().http_function().unwrap().name.binary, "accept");
        let message = read(&integrated.replacen("AcceptFunction.Arn", "Nobody.Arn", 1));
        let message = message.unwrap_err().to_string();
        assert!(message.contains("Http: the template declares no function Nobody"), "{message}");
    }

    #[test]
    fn a_schedule_of_a_function_is_read_with_its_period() {
        let with = |event: &str| {
            let event = format!("Http: {{ Type: HttpApi }}\n        Look: {event}");
            read(&TEMPLATE.replacen("Http: { Type: HttpApi }", &event, 1))
        };
        for (rate, minutes) in [("1 minute", 1), ("5 minutes", 5), ("2 hours", 120)] {
            let event = format!("{{ Type: Schedule, Properties: {{ Schedule: rate({rate}) }} }}");
            let period = Duration::from_secs(minutes * 60);
            let template = with(&event).unwrap();
            let schedules = &template.functions.first().unwrap().schedules;
            assert_eq!(schedules, &[Schedule { name: "Look".to_owned(), period }]);
        }
        let off = "{ Type: Schedule, Properties: { Schedule: rate(1 day), Enabled: false } }";
        assert!(with(off).unwrap().functions.first().unwrap().schedules.is_empty());
        for rate in ["cron(0 12 * * ? *)", "rate(0 minutes)", "rate(5)", "rate(1 fortnight)"] {
            let event = format!("{{ Type: Schedule, Properties: {{ Schedule: \"{rate}\" }} }}");
            let error = with(&event).unwrap_err().to_string();
            assert!(error.contains("AcceptFunction: the schedule Look is"), "{error}");
        }
    }

    #[test]
    fn topics_and_tables_are_read_with_their_parameters() {
        let template = read(TEMPLATE).unwrap();
        let topic = Topic {
            name: "orders".to_owned(),
            partitions: 4,
            replication_factor: 3,
            configs: vec![("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())],
        };
        assert_eq!(template.topics, [topic]);
        let table = template.tables.first().unwrap();
        assert_eq!(table.time_to_live.as_deref(), Some("expiresAt"));
        assert_eq!(table.indexes.first().unwrap().projection, "KEYS_ONLY");
    }

    #[test]
    fn each_fault_names_its_resource_and_what_to_write() {
        let cases = [
            (
                "Topics: [orders]",
                "Topics: [other]",
                "Mapping: the template declares no topic named other",
            ),
            (
                "AcceptFunction.Arn",
                "Nobody.Arn",
                "Mapping: the template declares no function Nobody",
            ),
            ("Topics: [orders]", "Topics: [a, b]", "Mapping: Topics must name exactly one topic"),
            (
                "StartingPosition: LATEST",
                "StartingPosition: LATEST\n      BatchSize: 0",
                "Mapping: BatchSize must be",
            ),
            ("Binary: accept", "Other: accept", "AcceptFunction: say which binary it runs"),
            ("Default: EUR", "MinLength: 1", "CURRENCY needs the parameter Currency"),
            ("Type: HttpApi", "Type: MSK", "no event of type MSK"),
            ("PartitionCount: !Ref Partitions", "PartitionCount: 0", "OrdersTopic: PartitionCount"),
            ("FunctionName: !GetAtt AcceptFunction.Arn", "Other: 1", "Mapping: missing field"),
        ];
        for (replaced, by, expected) in cases {
            let message = fault(replaced, by);
            assert!(message.contains(expected), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }

    #[test]
    fn bad_yaml_is_told_with_its_line() {
        let error = read("Resources:\n  A:\n    - [\n").unwrap_err();
        assert!(error.to_string().contains("line "), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source.lines().count(), 1, "{source}");
    }

    #[test]
    fn a_missing_file_is_told_with_the_way_out() {
        let error = Template::read(Path::new("/no/template.yaml")).unwrap_err();
        assert!(error.to_string().contains("name it with --template"), "{error}");
    }

    #[test]
    fn the_template_of_this_project_is_understood() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let template = Template::read(&path).unwrap();
        assert_eq!(template.http_function().unwrap().name.binary, "order-api");
        for mapping in &template.mappings {
            assert!(mapping.reports_item_failures, "{}", mapping.logical_id);
            assert_eq!(mapping.on_failure_topic.as_deref(), Some("order.dead-letter"));
            assert!(!mapping.consumer_group.contains('$'), "{}", mapping.consumer_group);
        }
        assert!(template.topics.iter().all(|topic| topic.partitions == 12));
    }
}
