//! Reads the functions, mappings, topics and tables of `template.yaml`.
//!
//! The template is the only description of the topology. A [`Template`] is checked: every mapping
//! names a declared function and a declared topic.

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

use crate::filter_criteria::FilterCriteria;

/// The resources that a stack starts.
#[derive(Debug, Clone)]
pub struct Template {
    /// In the order of the file.
    pub functions: Vec<Function>,
    /// The enabled ones, in the order of the file.
    pub mappings: Vec<Mapping>,
    /// Dead-letter topics included.
    pub topics: Vec<Topic>,
    pub tables: Vec<Table>,
}

/// The two names of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionName {
    /// Name of its binary and in the Invoke API.
    pub binary: String,
    /// Logical id in the template.
    pub logical_id: String,
}

#[derive(Debug, Clone)]
pub struct Function {
    pub name: FunctionName,
    /// Limit for one invocation.
    pub timeout: Duration,
    /// Limit for the resident memory of a process.
    pub memory_mb: u64,
    /// Those of `Globals` first.
    pub environment: Vec<(String, Setting)>,
    pub serves_http: bool,
    pub schedules: Vec<Schedule>,
}

/// A schedule that invokes a function at a fixed rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Name of the event in the function's resource.
    pub name: String,
    pub period: Duration,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    Text(String),
    /// The addresses of the brokers.
    BootstrapServers,
    /// The name of the table with this logical id.
    TableName(String),
}

/// An event-source mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Logical id in the template.
    pub logical_id: String,
    pub function: FunctionName,
    pub topic: String,
    pub consumer_group: String,
    /// For a partition without a committed offset.
    pub starting_position: StartingPosition,
    /// A record that does not match is dropped.
    pub filters: FilterCriteria,
    /// Maximum of records in one invocation.
    pub batch_size: usize,
    /// Time to gather a batch; zero invokes with the records that have arrived.
    pub window: Duration,
    /// `ReportBatchItemFailures`: the function's list of failed records is read.
    pub reports_item_failures: bool,
    /// `BisectBatchOnFunctionError`: a batch is halved if the function fails.
    pub bisects_on_error: bool,
    /// `None` for unlimited retries.
    pub maximum_retries: Option<u32>,
    /// A record beyond this age is given up; `None` for unlimited.
    pub maximum_record_age: Option<Duration>,
    /// The topic for the dead letters.
    pub on_failure_topic: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// From the oldest record.
    TrimHorizon,
    /// Only new records.
    Latest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub partitions: i32,
    /// Reduced to the number of brokers, if there are fewer.
    pub replication_factor: i32,
    /// By name, without those that depend on a condition of the template.
    pub configs: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Table {
    /// Logical id in the template.
    pub logical_id: String,
    /// Name and type (`S`, `N`, `B`) of each key attribute.
    pub attributes: Vec<(String, String)>,
    pub key: Vec<KeyElement>,
    /// Global secondary indexes.
    pub indexes: Vec<SecondaryIndex>,
    /// The attribute with a row's time of expiry; `None` if rows do not expire.
    pub time_to_live: Option<String>,
}

/// One attribute of a key.
#[derive(Debug, Clone)]
pub struct KeyElement {
    pub attribute: String,
    /// `HASH` or `RANGE`.
    pub kind: String,
}

/// A global secondary index.
#[derive(Debug, Clone)]
pub struct SecondaryIndex {
    pub name: String,
    pub key: Vec<KeyElement>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// The further attributes of an `INCLUDE` projection.
    pub non_key_attributes: Vec<String>,
}

impl Template {
    /// Reads and checks a template.
    ///
    /// # Errors
    /// [`TemplateError`] names the first place that must change.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        resolve::template(parse(path)?)
    }

    /// The whole file, for the parts that a [`Template`] does not have.
    ///
    /// Short-form intrinsics lose their tag: `!Ref Greetings` is the text `Greetings`.
    ///
    /// # Errors
    /// If the file cannot be read or is not YAML.
    pub fn as_spelled(path: &Path) -> Result<Value, TemplateError> {
        parse(path)
    }

    /// The function that the HTTP API invokes.
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

/// The parser's message without its excerpt, which has several lines.
fn one_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Partitions: { Type: Number, Default: 4 }
  Language: { Type: String, Default: EN }
Globals:
  Function:
    Timeout: 60
    Environment:
      Variables:
        KAFKA_BOOTSTRAP_SERVERS: !GetAtt KafkaCluster.BootstrapServers
        ROW_TTL_DAYS: "30"
        LOUD: true
Resources:
  GreeterFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: greeter } }
    Properties:
      MemorySize: 512
      Environment:
        Variables:
          GREETINGS_TABLE: !Ref GreetingsTable
          LANGUAGE: !Ref Language
          ROW_TTL_DAYS: "7"
      Events:
        Http: { Type: HttpApi }
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !GetAtt GreeterFunction.Arn
      Topics: [a.topic]
      StartingPosition: LATEST
  Sleeping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref GreeterFunction
      Topics: [a.topic]
      StartingPosition: LATEST
      Enabled: false
  SourceTopic:
    Type: AWS::MSK::Topic
    Properties:
      ClusterArn: !Select [1, !Split ["/", !Ref ClusterArn]]
      TopicName: a.topic
      PartitionCount: !Ref Partitions
      ReplicationFactor: 3
      Configs:
        Fn::Base64: !Sub
          - '{"message.timestamp.type":"LogAppendTime","min.insync.replicas":"${MinInsync}"}'
          - MinInsync: !If [Copies, "2", "1"]
  GreetingsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions:
        - { AttributeName: greetingId, AttributeType: S }
        - { AttributeName: language, AttributeType: S }
      KeySchema: [{ AttributeName: greetingId, KeyType: HASH }]
      GlobalSecondaryIndexes:
        - IndexName: by-language
          KeySchema: [{ AttributeName: language, KeyType: HASH }]
          Projection: { ProjectionType: KEYS_ONLY }
      TimeToLiveSpecification: { AttributeName: expiresAt, Enabled: true }
"#;

    fn read(text: &str) -> Result<Template, TemplateError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("template.yaml");
        std::fs::write(&path, text).unwrap();
        Template::read(&path)
    }

    /// The error of the template with one text replaced.
    fn error(replaced: &str, by: &str) -> String {
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
            ("GREETINGS_TABLE", Setting::TableName("GreetingsTable".to_owned())),
            ("LANGUAGE", text("EN")),
        ];
        let expected = expected.map(|(name, setting)| (name.to_owned(), setting));
        assert_eq!(function.environment, expected);
        assert_eq!((function.memory_mb, function.timeout), (512, Duration::from_secs(60)));
    }

    #[test]
    fn a_minimal_mapping_gets_the_defaults_of_aws() {
        let template = read(TEMPLATE).unwrap();
        let [mapping] = template.mappings.as_slice() else { panic!("one mapping is enabled") };
        assert_eq!(mapping.function.binary, "greeter");
        assert_eq!(mapping.consumer_group, "Mapping");
        assert_eq!((mapping.batch_size, mapping.window), (100, Duration::from_millis(500)));
        assert_eq!((mapping.maximum_retries, mapping.maximum_record_age), (None, None));
        assert!(!mapping.reports_item_failures && !mapping.bisects_on_error);
    }

    /// The first mapping with further lines of properties.
    fn mapping(properties: &str) -> Result<Mapping, String> {
        let by = format!("StartingPosition: LATEST\n      {properties}");
        let template = read(&TEMPLATE.replacen("StartingPosition: LATEST", &by, 1));
        template.map(|template| template.mappings[0].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_property_of_a_mapping_is_read_within_the_range_of_aws() {
        for (property, valid, invalid) in [
            ("BatchSize", vec!["1", "10000"], vec!["0", "10001", "-1", "a", "1.5"]),
            ("MaximumBatchingWindowInSeconds", vec!["0", "300"], vec!["-1", "301"]),
            ("MaximumRetryAttempts", vec!["-1", "0", "10000"], vec!["-2", "10001"]),
            (
                "MaximumRecordAgeInSeconds",
                vec!["-1", "60", "604800"],
                vec!["-2", "0", "59", "604801"],
            ),
            (
                "FunctionResponseTypes",
                vec!["[]", "[ReportBatchItemFailures]"],
                vec!["[Other]", "[ReportBatchItemFailures, Other]"],
            ),
        ] {
            for value in valid {
                mapping(&format!("{property}: {value}")).unwrap();
            }
            for value in invalid {
                let error = mapping(&format!("{property}: {value}")).unwrap_err();
                assert!(error.contains(&format!("Mapping: {property} must be")), "{error}");
            }
        }
        let read = mapping(
            "BatchSize: 7\n      MaximumBatchingWindowInSeconds: 3\n      MaximumRetryAttempts: 5\n      \
             MaximumRecordAgeInSeconds: 60\n      BisectBatchOnFunctionError: true\n      \
             FunctionResponseTypes: [ReportBatchItemFailures]\n      \
             AmazonManagedKafkaEventSourceConfig: { ConsumerGroupId: !Sub \"${AWS::StackName}-g\" }",
        )
        .unwrap();
        assert_eq!((read.batch_size, read.maximum_retries), (7, Some(5)));
        assert_eq!(read.window, Duration::from_secs(3));
        assert_eq!(read.maximum_record_age, Some(Duration::from_secs(60)));
        assert!(read.reports_item_failures && read.bisects_on_error);
        assert_eq!(read.consumer_group, "local-g");
    }

    #[test]
    fn a_property_of_a_mapping_without_local_effect_is_accepted() {
        for property in [
            "EventSourceArn: !Ref ClusterArn",
            "KmsKeyArn: arn",
            "LoggingConfig: { SystemLogLevel: INFO }",
            "MetricsConfig: { Metrics: [EventCount] }",
            "ProvisionedPollerConfig: { MinimumPollers: 1, MaximumPollers: 2 }",
            "SelfManagedEventSource: { Endpoints: {} }",
            "SourceAccessConfigurations: [{ Type: VPC_SUBNET, URI: subnet }]",
            "Tags: [{ Key: a, Value: b }]",
        ] {
            mapping(property).unwrap();
        }
    }

    #[test]
    fn an_unsupported_property_of_a_mapping_is_refused_by_its_name() {
        for (property, name) in [
            ("StartingPositionTimestamp: 1", "StartingPositionTimestamp"),
            ("Queues: [a]", "Queues"),
            ("ParallelizationFactor: 2", "ParallelizationFactor"),
            ("TumblingWindowInSeconds: 2", "TumblingWindowInSeconds"),
            ("ScalingConfig: { MaximumConcurrency: 2 }", "ScalingConfig"),
            ("DocumentDBEventSourceConfig: {}", "DocumentDBEventSourceConfig"),
            ("BatchSizes: 1", "BatchSizes"),
            (
                "AmazonManagedKafkaEventSourceConfig: { SchemaRegistryConfig: {} }",
                "SchemaRegistryConfig",
            ),
            ("SelfManagedKafkaEventSourceConfig: { ConsumptionMode: Queue }", "ConsumptionMode"),
            ("FilterCriteria: { Filter: [] }", "Filter"),
            ("DestinationConfig: { OnSuccess: { Destination: a } }", "OnSuccess"),
        ] {
            let expected = format!(
                "template, Mapping: the property {name} is not supported by the local run (remove it)"
            );
            assert_eq!(mapping(property).unwrap_err(), expected);
        }
        let error = error("StartingPosition: LATEST", "StartingPosition: AT_TIMESTAMP");
        assert!(error.contains("the StartingPosition AT_TIMESTAMP is not supported"), "{error}");
        let error = mapping("DestinationConfig: { OnFailure: { Type: SQS, Destination: a } }");
        assert!(error.unwrap_err().contains("unknown field `Type`"));
    }

    #[test]
    fn the_filters_of_a_mapping_are_read_from_their_patterns() {
        let filters = |pattern: &str| {
            mapping(&format!("FilterCriteria: {{ Filters: [{{ Pattern: '{pattern}' }}] }}"))
        };
        let read = filters(r#"{"value": {"a": [1]}}"#).unwrap().filters;
        assert!(read.matches(Some(br#"{"a":1}"#)) && !read.matches(Some(br#"{"a":2}"#)));
        let error = filters(r#"{"value": {"a": [{"wildcard": "b"}]}}"#).unwrap_err();
        let expected = "Mapping: FilterCriteria: filter 1: value.a: the operator \"wildcard\"";
        assert!(error.contains(expected), "{error}");
        assert!(mapping("FilterCriteria: { Filters: [{}] }").unwrap_err().contains("Pattern"));
    }

    #[test]
    fn unlimited_retries_are_ten_with_an_on_failure_destination() {
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
    fn a_function_serves_http_by_an_event_or_an_integration() {
        let integration = "Resources:\n  Http:\n    Type: AWS::ApiGatewayV2::Integration\n    Properties: { IntegrationUri: !GetAtt GreeterFunction.Arn }\n";
        let without = TEMPLATE.replacen("Http: { Type: HttpApi }", "{}", 1);
        assert!(read(&without).unwrap().http_function().is_none());
        let integrated = without.replacen("Resources:\n", integration, 1);
        assert_eq!(read(&integrated).unwrap().http_function().unwrap().name.binary, "greeter");
        let message = read(&integrated.replacen("GreeterFunction.Arn", "Nobody.Arn", 1));
        let message = message.unwrap_err().to_string();
        assert!(
            message.contains("Http: the template does not declare the function Nobody"),
            "{message}"
        );
    }

    #[test]
    fn a_resource_is_read_if_its_condition_holds_with_the_default_parameters() {
        let with = |condition: &str| {
            let conditions = format!("Conditions:\n  English: {condition}\nGlobals:");
            let text = TEMPLATE.replacen("Globals:", &conditions, 1);
            let echo = "Resources:\n  EchoFunction:\n    Type: AWS::Serverless::Function\n    \
                        Condition: English\n    Metadata: { BuildProperties: { Binary: echo } }\n    \
                        Properties: {}";
            read(&text.replacen("Resources:", echo, 1))
        };
        let functions = |condition: &str| {
            let functions = with(condition).unwrap().functions.into_iter();
            functions.map(|function| function.name.binary).collect::<Vec<_>>()
        };
        assert_eq!(functions("!Equals [!Ref Language, EN]"), ["echo", "greeter"]);
        assert_eq!(functions("!Equals [!Ref Language, DE]"), ["greeter"]);
        for other in ["!Not [!Equals [!Ref Language, DE]]", "!And [!Condition A, !Condition B]"] {
            let error = with(other).unwrap_err().to_string();
            let expected = "EchoFunction: the condition English is not supported";
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_schedule_of_a_function_is_read_with_its_period() {
        let with = |event: &str| {
            let event = format!("Http: {{ Type: HttpApi }}\n        Tick: {event}");
            read(&TEMPLATE.replacen("Http: { Type: HttpApi }", &event, 1))
        };
        for (rate, minutes) in [("1 minute", 1), ("5 minutes", 5), ("2 hours", 120)] {
            let event = format!("{{ Type: Schedule, Properties: {{ Schedule: rate({rate}) }} }}");
            let period = Duration::from_secs(minutes * 60);
            let template = with(&event).unwrap();
            let schedules = &template.functions.first().unwrap().schedules;
            assert_eq!(schedules, &[Schedule { name: "Tick".to_owned(), period }]);
        }
        let off = "{ Type: Schedule, Properties: { Schedule: rate(1 day), Enabled: false } }";
        assert!(with(off).unwrap().functions.first().unwrap().schedules.is_empty());
        for rate in ["cron(0 12 * * ? *)", "rate(0 minutes)", "rate(5)", "rate(1 fortnight)"] {
            let event = format!("{{ Type: Schedule, Properties: {{ Schedule: \"{rate}\" }} }}");
            let error = with(&event).unwrap_err().to_string();
            assert!(error.contains("GreeterFunction: the schedule Tick is"), "{error}");
        }
    }

    #[test]
    fn topics_and_tables_are_read_with_their_parameters() {
        let template = read(TEMPLATE).unwrap();
        let topic = Topic {
            name: "a.topic".to_owned(),
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
    fn the_configs_of_a_topic_are_a_json_object_of_texts() {
        let sub = TEMPLATE.split("Configs:").nth(1).unwrap().split("  GreetingsTable").next();
        let with = |configs: &str| read(&TEMPLATE.replacen(sub.unwrap(), configs, 1));
        let template = with(" { Fn::Base64: '{\"retention.ms\":\"7\",\"a\":\"b\"}' }\n").unwrap();
        let configs = [("a", "b"), ("retention.ms", "7")];
        let configs = configs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(template.topics[0].configs, configs);
        let malformed = [
            r#"{ Fn::Base64: "retention.ms=7" }"#,
            r#"{ Fn::Base64: !Join ["\n", [retention.ms=7, a=b]] }"#,
            r#"{ Fn::Base64: '{"retention.ms":7}' }"#,
            r#"'{"retention.ms":"7"}'"#,
        ];
        for configs in malformed {
            let error = with(&format!(" {configs}\n")).unwrap_err().to_string();
            let expected = "SourceTopic: Configs must be Fn::Base64 of a JSON object";
            assert!(error.contains(expected), "{configs}: {error}");
        }
    }

    #[test]
    fn each_error_names_its_resource_and_the_remedy() {
        let cases = [
            (
                "Topics: [a.topic]",
                "Topics: [other]",
                "Mapping: the template does not declare the topic other",
            ),
            (
                "GreeterFunction.Arn",
                "Nobody.Arn",
                "Mapping: the template does not declare the function Nobody",
            ),
            ("Topics: [a.topic]", "Topics: [a, b]", "Mapping: Topics must name exactly one topic"),
            (
                "StartingPosition: LATEST",
                "StartingPosition: LATEST\n      BatchSize: 0",
                "Mapping: BatchSize must be",
            ),
            ("Binary: greeter", "Other: greeter", "GreeterFunction: set Metadata"),
            ("Default: EN", "MinLength: 1", "LANGUAGE needs the parameter Language"),
            ("Type: HttpApi", "Type: MSK", "events of type MSK are not supported"),
            ("PartitionCount: !Ref Partitions", "PartitionCount: 0", "SourceTopic: PartitionCount"),
            ("FunctionName: !GetAtt GreeterFunction.Arn", "Other: 1", "Mapping: missing field"),
        ];
        for (replaced, by, expected) in cases {
            let message = error(replaced, by);
            assert!(message.contains(expected), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }

    #[test]
    fn the_timeout_and_the_memory_of_a_function_are_in_lambdas_limits() {
        let cases = [
            ("MemorySize: 512", "MemorySize", "128", "10240", ["127", "10241", "-1"]),
            ("Timeout: 60", "Timeout", "1", "900", ["0", "901", "1.5"]),
        ];
        for (replaced, name, start, end, outside) in cases {
            for limit in [start, end] {
                read(&TEMPLATE.replacen(replaced, &format!("{name}: {limit}"), 1)).unwrap();
            }
            for value in outside {
                assert_eq!(
                    error(replaced, &format!("{name}: {value}")),
                    format!(
                        "template, GreeterFunction: {name} is {value}: \
                         set a whole number from {start} to {end}"
                    )
                );
            }
        }
        let parameter = error("MemorySize: 512", "MemorySize: !Ref Partitions");
        assert!(parameter.contains("MemorySize is 4: set"), "{parameter}");
    }

    #[test]
    fn the_error_of_malformed_yaml_names_its_line() {
        let error = read("Resources:\n  A:\n    - [\n").unwrap_err();
        assert!(error.to_string().contains("line "), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source.lines().count(), 1, "{source}");
    }

    #[test]
    fn the_error_of_a_missing_file_names_the_option() {
        let error = Template::read(Path::new("/no/template.yaml")).unwrap_err();
        assert!(error.to_string().contains("name it with --template"), "{error}");
    }
}
