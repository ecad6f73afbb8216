//! Holds `template.yaml` and the code together, and the description of the HTTP API.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod agreement;
mod code;
mod http_api;
mod limits;
mod published;
mod spelled;

use std::{collections::BTreeSet, fs};

use contracts::Topic;
use local::template::{Setting, Template};
use workflow_tests::world::root;

fn template() -> Template {
    Template::read(&root().join("template.yaml")).expect("the template is readable")
}

#[test]
fn every_function_has_a_folder_and_every_folder_a_function() {
    let declared: BTreeSet<String> =
        template().functions.into_iter().map(|function| function.name.binary).collect();
    let folders: BTreeSet<String> = fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(declared, folders);
}

#[test]
fn every_function_has_an_event_file_to_be_invoked_with() {
    for function in template().functions {
        let folder = root().join("events").join(&function.name.binary);
        assert!(fs::read_dir(&folder).is_ok_and(|files| files.count() > 0), "{}", folder.display());
    }
}

#[test]
fn every_topic_of_the_contract_is_declared_and_fires_a_function() {
    let template = template();
    for topic in Topic::ALL {
        assert!(template.topics.iter().any(|it| it.name == topic.name()), "{topic}");
        assert!(template.mappings.iter().any(|it| it.topic == topic.name()), "{topic}");
    }
    for mapping in &template.mappings {
        assert!(Topic::from_name(&mapping.topic).is_some(), "{}", mapping.topic);
    }
}

#[test]
fn mappings_and_functions_agree_on_partial_responses() {
    let template = template();
    for mapping in &template.mappings {
        let function = template.functions.iter().find(|it| it.name == mapping.function).unwrap();
        let told = function.environment.iter().any(|(name, value)| {
            name == "FUNCTION_RESPONSE_TYPES"
                && matches!(value, Setting::Text(text) if text == "ReportBatchItemFailures")
        });
        assert_eq!(told, mapping.reports_item_failures, "{}", mapping.logical_id);
    }
}

#[test]
fn no_mapping_can_lose_a_record() {
    let template = template();
    let mut groups = BTreeSet::new();
    for mapping in &template.mappings {
        let name = &mapping.logical_id;
        let dead_letters = mapping.on_failure_topic.as_deref().expect(name);
        assert!(template.topics.iter().any(|topic| topic.name == dead_letters), "{name}");
        assert_eq!(Topic::from_name(dead_letters), None, "{name}: events and dead letters mix");
        assert!(mapping.bisects_on_error, "{name}");
        assert!(groups.insert(&mapping.consumer_group), "{name} shares its consumer group");
    }
}
