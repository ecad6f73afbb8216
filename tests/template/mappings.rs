//! The event-source mappings: topics, partial responses, dead letters, alarms.

use std::collections::BTreeSet;

use contracts::Topic;
use serde_json::json;

use crate::{
    environment::deployed_settings,
    functions::{consumed_topics, spec_of},
    template,
    template_yaml::{TemplateYaml, texts},
};

#[test]
fn each_function_is_triggered_by_the_topics_that_its_stages_consume() {
    let template = template();
    for function in &template.functions {
        let mappings = template.mappings.iter().filter(|it| it.function == function.name);
        let mut topics: Vec<_> = mappings.map(|it| it.topic.as_str()).collect();
        topics.sort_unstable_by_key(|name| Topic::from_name(name));
        let consumed = consumed_topics(&spec_of(function)).into_iter().map(Topic::name);
        assert_eq!(topics, consumed.collect::<Vec<_>>(), "{}", function.name.binary);
    }
}

#[test]
fn the_topics_are_those_of_the_contract_and_one_for_dead_letters() {
    let template = template();
    let declared: BTreeSet<_> = template.topics.iter().map(|it| it.name.as_str()).collect();
    let dead_letters = template.mappings.iter().filter_map(|it| it.on_failure_topic.as_deref());
    let contract = Topic::ALL.iter().map(|topic| topic.name());
    assert_eq!(declared, contract.chain(dead_letters).collect());
}

#[test]
fn mappings_and_functions_agree_on_partial_responses() {
    let template = template();
    for mapping in &template.mappings {
        let function = template.functions.iter().find(|it| it.name == mapping.function).unwrap();
        let reports = deployed_settings(function).reports_batch_item_failures;
        assert_eq!(reports, mapping.reports_item_failures, "{}", mapping.logical_id);
    }
}

#[test]
fn no_mapping_can_lose_a_record() {
    let template = template();
    let mut groups = BTreeSet::new();
    for mapping in &template.mappings {
        let name = &mapping.logical_id;
        let dead_letters = mapping.on_failure_topic.as_deref().expect(name);
        assert_eq!(Topic::from_name(dead_letters), None, "{name}: events and dead letters mix");
        assert!(mapping.bisects_on_error, "{name}");
        assert!(groups.insert(&mapping.consumer_group), "{name} shares its consumer group");
    }
}

#[test]
fn every_mapping_logs_and_measures_its_pollers() {
    let yaml = TemplateYaml::read();
    for mapping in &template().mappings {
        let (name, properties) = (&mapping.logical_id, yaml.properties(&mapping.logical_id));
        assert_eq!(properties["LoggingConfig"]["SystemLogLevel"], "WARN", "{name}");
        let metrics = texts(&properties["MetricsConfig"]["Metrics"]);
        assert_eq!(metrics, ["EventCount", "ErrorCount", "KafkaMetrics"], "{name}");
    }
}

#[test]
fn every_mapping_is_watched_for_lag_errors_and_records_given_up() {
    let declared: BTreeSet<_> = template().mappings.into_iter().map(|it| it.logical_id).collect();
    for metric in [
        "MaxOffsetLag",
        "OnFailureDestinationDeliveredEventCount",
        "DroppedEventCount",
        "PollingErrorCount",
        "InvokeErrorCount",
        "CommitErrorCount",
        "OnFailureDestinationDeliveryErrorCount",
    ] {
        let watched = TemplateYaml::read().watched(metric, "EventSourceMappingUUID");
        assert_eq!(watched, declared, "{metric}");
    }
    let yaml = TemplateYaml::read();
    for mapping in &template().mappings {
        let alarm = yaml.alarm_on("MaxOffsetLag", mapping);
        let description = alarm["AlarmDescription"].as_str().expect("a description");
        assert!(description.contains(&mapping.topic), "{}: {description}", mapping.logical_id);
    }
}

#[test]
fn a_mapping_that_stops_polling_raises_an_alarm() {
    let yaml = TemplateYaml::read();
    for mapping in &template().mappings {
        let alarm = yaml.alarm_on("PolledEventCount", mapping);
        // The metric is 0 on an empty poll: only its absence is an error.
        for (property, value) in [
            ("Statistic", json!("SampleCount")),
            ("ComparisonOperator", json!("LessThanThreshold")),
            ("Threshold", json!(1)),
            ("TreatMissingData", json!("breaching")),
        ] {
            assert_eq!(alarm[property], value, "{}: {property}", mapping.logical_id);
        }
    }
}
