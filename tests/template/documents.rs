//! The pages of the documentation against the names of the code and the template.

use std::fs;

use contracts::{EventType, FailureCode, StageName, Topic, happy_path};
use workflow_tests::{functions::FUNCTIONS, world::root};

use crate::{template, template_yaml::TemplateYaml};

/// Checks that a page has each of these texts.
fn names(page: &str, texts: impl Iterator<Item = String>) {
    let page_text = fs::read_to_string(root().join(page)).expect(page);
    let missing: Vec<_> = texts.filter(|text| !page_text.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "{page} does not name {missing:#?}");
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

#[test]
fn the_pages_about_the_code_name_every_function_topic_and_event() {
    let functions = || FUNCTIONS.iter().map(|spec| code(spec.name));
    // As the diagrams spell them.
    let topics = || Topic::ALL.iter().map(|topic| format!("/{topic}/"));
    let on_arrow = |event: EventType| format!("|{event}|");
    let accepted = happy_path().filter_map(|spec| Some(spec.publishes?.accepted)).map(on_arrow);
    names("README.md", functions().chain(topics()).chain(accepted));
    let events = EventType::ALL.iter().copied().map(on_arrow);
    names("docs/architecture.md", functions().chain(topics()).chain(events));
    names("docs/consume.md", Topic::ALL.iter().map(|topic| code(topic.name())));
    names("docs/cost.md", StageName::ALL.iter().map(|stage| format!("| {stage} |")));
    let failures = EventType::ALL.iter().filter(|event| event.is_failure());
    names("docs/guarantees.md", failures.map(|event| code(event.name())));
    names("docs/running.md", FUNCTIONS.iter().map(|spec| format!("`{}/", spec.name)));
}

#[test]
fn the_operators_page_names_every_stage_code_mapping_and_alarm() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let stages = StageName::ALL.iter().map(|stage| code(stage.name()));
    let codes = FailureCode::ALL.iter().map(|it| code(it.name()));
    let mappings = template.mappings.iter().map(|it| {
        let (id, topic) = (&it.logical_id, &it.topic);
        format!(
            "| `{id}` | `{topic}` | `STACK{}`",
            yaml.consumer_group(it).replace("${AWS::StackName}", "")
        )
    });
    let alarms = yaml.alarms().into_iter().map(|name| code(&name));
    names("docs/operations.md", stages.chain(codes).chain(mappings).chain(alarms));
}

#[test]
fn the_saved_queries_are_those_of_the_operators_page() {
    let page = fs::read_to_string(root().join("docs/operations.md")).expect("the page");
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = one_line(&page);
    let yaml = TemplateYaml::read();
    let queries = yaml.resources("AWS::Logs::QueryDefinition");
    let texts = queries.map(|(_, it)| one_line(it["QueryString"].as_str().expect("a query")));
    let texts: Vec<_> = texts.collect();
    assert!(!texts.is_empty());
    let missing: Vec<_> = texts.iter().filter(|it| !page.contains(&format!("'{it}'"))).collect();
    assert!(missing.is_empty(), "docs/operations.md does not have {missing:#?}");
}
