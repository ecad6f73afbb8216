//! The functions of the code against their resources, folders and event files.

use std::{collections::BTreeSet, fs, path::Path};

use contracts::{EventType, StageName, StageSpec, Topic};
use emulator::template::Function;
use runtime::FunctionSpec;
use serde_json::Value;
use workflow_tests::{functions::FUNCTIONS, world::root};

use crate::{template, template_yaml::TemplateYaml};

pub(crate) fn spec_of(function: &Function) -> FunctionSpec {
    let spec = FUNCTIONS.into_iter().find(|spec| spec.name == function.name.binary);
    spec.expect(&function.name.binary)
}

pub(crate) fn stages(spec: &FunctionSpec) -> impl Iterator<Item = &'static StageSpec> {
    spec.stages.iter().map(|stage| stage.spec())
}

pub(crate) fn consumed_topics(spec: &FunctionSpec) -> BTreeSet<Topic> {
    stages(spec).flat_map(StageSpec::consumed_events).map(EventType::topic).collect()
}

/// The events that a function publishes, its reports of malformed records included.
pub(crate) fn published_events(spec: &FunctionSpec) -> BTreeSet<EventType> {
    let reports = consumed_topics(spec).into_iter().filter_map(Topic::malformed_failure);
    stages(spec).flat_map(StageSpec::published_events).chain(reports).collect()
}

#[test]
fn the_template_declares_exactly_the_functions_of_the_code() {
    let declared: Vec<_> = template().functions.into_iter().map(|it| it.name.binary).collect();
    assert_eq!(declared, FUNCTIONS.map(|spec| spec.name));
}

#[test]
fn a_function_has_one_name_for_resource_folder_and_binary() {
    let yaml = TemplateYaml::read();
    for function in &template().functions {
        let name = spec_of(function).name;
        let words = name.split('-').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        });
        assert_eq!(function.name.logical_id, words.collect::<String>() + "Function");
        assert_eq!(yaml.code_uri(function), format!("functions/{name}"));
    }
    let folders = folders(&root().join("functions"));
    assert_eq!(folders, FUNCTIONS.iter().map(|spec| spec.name.to_owned()).collect());
}

#[test]
fn every_stage_belongs_to_one_function() {
    let mut stages: Vec<_> = FUNCTIONS.iter().flat_map(|spec| spec.stages).copied().collect();
    stages.sort();
    assert_eq!(stages, StageName::ALL);
}

#[test]
fn every_function_has_event_files_from_each_topic_that_triggers_it_and_from_no_other() {
    for spec in FUNCTIONS {
        let folder = root().join("events").join(spec.name);
        let files = fs::read_dir(&folder).expect(spec.name).map(|entry| entry.expect("an entry"));
        let topics: BTreeSet<_> = files.flat_map(|entry| topics(&entry.path())).collect();
        let consumed = consumed_topics(&spec).into_iter().map(|topic| topic.name().to_owned());
        assert_eq!(topics, consumed.collect(), "{}", folder.display());
    }
}

/// The topics of the records in an event file; none if it is a request.
fn topics(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("an event file");
    let event: Value = serde_json::from_str(&text).expect("an event file is JSON");
    let partitions = event["records"].as_object().into_iter().flat_map(|it| it.values());
    let records = partitions.flat_map(|records| records.as_array().into_iter().flatten());
    records.filter_map(|record| Some(record["topic"].as_str()?.to_owned())).collect()
}

fn folders(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().expect("a name in UTF-8")).collect()
}
