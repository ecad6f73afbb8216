//! Alarms: what a surge of one failure code or outcome means, and the page that every alarm names.

use std::{collections::BTreeSet, fs};

use contracts::FailureCode;
use workflow_tests::world::root;

use crate::template_yaml::{TemplateYaml, texts};

/// A surge of these has more causes than one, or needs nobody.
const WITHOUT_ALARM: [FailureCode; 5] = [
    FailureCode::OutOfStock,
    FailureCode::OrderCancelled,
    FailureCode::EventTooLarge,
    FailureCode::MalformedEvent,
    FailureCode::UnexpectedEvent,
];

#[test]
fn a_surge_of_one_failure_code_raises_an_alarm() {
    let codes = FailureCode::ALL.iter().filter(|code| !WITHOUT_ALARM.contains(code));
    let codes: BTreeSet<_> = codes.map(|code| code.name().to_owned()).collect();
    assert_eq!(TemplateYaml::read().watched("OrdersFailed", "code"), codes);
}

#[test]
fn every_outcome_that_needs_somebody_raises_an_alarm() {
    let page = fs::read_to_string(root().join("docs/operations.md")).expect("the page");
    let outcomes = page.lines().filter(|line| line.contains("| yes: "));
    let outcomes: BTreeSet<_> =
        outcomes.filter_map(|line| Some(line.split('`').nth(1)?.to_owned())).collect();
    assert!(!outcomes.is_empty());
    assert_eq!(TemplateYaml::read().watched("Records", "outcome"), outcomes);
}

#[test]
fn every_index_is_watched() {
    let yaml = TemplateYaml::read();
    let indexes = yaml.properties("OrdersTable")["GlobalSecondaryIndexes"].as_array();
    let indexes = indexes.expect("the table has indexes").iter();
    let indexes = indexes.flat_map(|it| texts(&it["IndexName"])).collect();
    assert_eq!(yaml.watched("WriteThrottleEvents", "GlobalSecondaryIndexName"), indexes);
}

#[test]
fn every_alarm_names_a_section_of_the_operators_page() {
    let page = fs::read_to_string(root().join("docs/operations.md")).expect("the page");
    let headings: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let yaml = TemplateYaml::read();
    for (logical_id, alarm) in yaml.resources("AWS::CloudWatch::Alarm") {
        let description = alarm["AlarmDescription"].as_str().expect(logical_id);
        let section = description.split("${RunbookUrl}#").nth(1).map(|it| it.trim_end_matches('.'));
        assert!(section.is_some_and(|it| headings.contains(it)), "{logical_id}: {description}");
    }
}
