//! The archive of events, its table, and the saved queries against topics, stages and `analytics/`.

use std::{collections::BTreeMap, collections::BTreeSet, fs};

use contracts::{Consumes, EventType, STAGES, Topic};
use workflow_tests::world::root;

use crate::template_yaml::{TemplateYaml, texts};

fn sql(file: &str) -> String {
    fs::read_to_string(root().join("analytics").join(file)).expect(file)
}

/// The statements of `analytics/` that are neither a view nor the dialect of one.
fn queries() -> BTreeMap<String, String> {
    let files = fs::read_dir(root().join("analytics")).expect("the folder analytics");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let queries = names.map(|name| (name.trim_end_matches(".sql").to_owned(), sql(&name)));
    queries.filter(|(_, text)| !text.contains("\nCREATE OR REPLACE VIEW ")).collect()
}

fn topics() -> BTreeSet<String> {
    Topic::ALL.iter().map(|topic| topic.name().to_owned()).collect()
}

#[test]
fn the_saved_queries_are_those_of_the_folder() {
    let yaml = TemplateYaml::read();
    let saved = yaml.resources("AWS::Athena::NamedQuery").map(|(_, query)| {
        let text = |name: &str| query[name].as_str().expect("a text").to_owned();
        (text("Name"), text("QueryString"))
    });
    assert_eq!(saved.collect::<BTreeMap<_, _>>(), queries());
}

#[test]
fn every_topic_is_archived_from_its_start_to_a_folder_of_its_name() {
    let yaml = TemplateYaml::read();
    let mut archived = BTreeSet::new();
    for (logical_id, stream) in yaml.resources("AWS::KinesisFirehose::DeliveryStream") {
        let source = &stream["MSKSourceConfiguration"];
        let topic = source["TopicName"].as_str().expect(logical_id).replace("${TopicPrefix}", "");
        assert_eq!(source["ReadFromTimestamp"], "1970-01-01T00:00:00Z", "{logical_id}");
        let destination = &stream["ExtendedS3DestinationConfiguration"];
        let folder = format!("{topic}/date=!{{timestamp:yyyy-MM-dd}}/");
        assert_eq!(destination["Prefix"], folder, "{logical_id}");
        assert_eq!(destination["CompressionFormat"], "GZIP", "{logical_id}");
        let processors = &destination["ProcessingConfiguration"]["Processors"];
        assert_eq!(processors[0]["Type"], "AppendDelimiterToRecord", "{logical_id}");
        archived.insert(topic);
    }
    assert_eq!(archived, topics());
}

#[test]
fn firehose_may_read_every_topic_that_it_archives() {
    let yaml = TemplateYaml::read();
    let statements = &yaml.properties("ArchiveRole")["Policies"][0]["PolicyDocument"]["Statement"];
    let statements = statements.as_array().expect("the policy has statements").iter();
    let reads =
        statements.filter(|it| texts(&it["Action"]).iter().any(|a| a.ends_with(":ReadData")));
    let readable: BTreeSet<_> = reads.flat_map(|it| texts(&it["Resource"])).collect();
    let archived = topics().iter().map(|topic| yaml.topic(topic).to_owned()).collect();
    assert_eq!(readable, archived);
}

#[test]
fn the_table_has_every_topic_and_the_columns_that_the_views_read() {
    let yaml = TemplateYaml::read();
    let tables: Vec<_> = yaml.resources("AWS::Glue::Table").collect();
    let [(_, table)] = tables[..] else { panic!("one table: {tables:?}") };
    let table = &table["TableInput"];
    assert_eq!(table["Name"], "records");
    let parameters = &table["Parameters"];
    let projected = parameters["projection.topic.values"].as_str().unwrap_or_default();
    assert_eq!(projected.split(',').map(str::to_owned).collect::<BTreeSet<_>>(), topics());
    let location = parameters["storage.location.template"].as_str().unwrap_or_default();
    assert_eq!(location, "s3://${ArchiveBucket}/${!topic}/date=${!day}/");
    let columns = [&table["StorageDescriptor"]["Columns"], &table["PartitionKeys"]];
    let columns = columns.into_iter().flat_map(|it| it.as_array().into_iter().flatten());
    let columns: Vec<_> = columns.filter_map(|it| it["Name"].as_str()).collect();
    assert_eq!(columns, ["line", "topic", "day"]);
}

#[test]
fn the_view_of_the_stages_is_the_workflow_table() {
    let events = STAGES.iter().filter(|spec| spec.publishes.is_some()).zip(1..);
    let rows = events.flat_map(|(spec, position)| {
        spec.published_events().map(move |event: EventType| {
            let consumes = match spec.consumes {
                Consumes::Event(consumed) => format!("'{consumed}'"),
                Consumes::Requests | Consumes::EveryEnd => "NULL".to_owned(),
            };
            let accepts = !event.is_failure();
            let (stage, topic) = (spec.name, event.topic());
            format!("({position}, '{stage}', {consumes}, '{event}', '{topic}', {accepts})")
        })
    });
    let view = sql("stages.sql");
    let lines = view.lines().map(|line| line.trim().trim_end_matches(','));
    let listed: Vec<_> =
        lines.filter(|line| line.starts_with('(') && line.ends_with(')')).collect();
    assert_eq!(listed, rows.collect::<Vec<_>>());
}
