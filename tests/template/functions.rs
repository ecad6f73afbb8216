//! The functions of the code against their resources, folders and event files.

use std::{collections::BTreeSet, fs, path::Path};

use contracts::{EventType, StageName, StageSpec, Topic};
use emulator::template::Function;
use runtime::FunctionSpec;
use workflow_tests::world::root;

use crate::{template, template_yaml::TemplateYaml};

/// The functions in the order of the workflow.
pub(crate) const FUNCTIONS: [FunctionSpec; 5] =
    [order_api::SPEC, validator::SPEC, inventory::SPEC, payment::SPEC, notification::SPEC];

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
fn every_function_has_event_files() {
    for spec in FUNCTIONS {
        let folder = root().join("events").join(spec.name);
        assert!(fs::read_dir(&folder).is_ok_and(|files| files.count() > 0), "{}", folder.display());
    }
}

fn folders(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().expect("a name in UTF-8")).collect()
}
