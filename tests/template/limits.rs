//! Nested timeouts, retention and concurrency: each limit fits into the one around it.

use std::time::Duration;

use engine::{
    context::WARM_UP_TIMEOUT,
    engine::{DELIVERY_TIMEOUT, RESPONSE_MARGIN},
};
use order_api::{MAX_WAIT, PUBLISH_TIMEOUT, READ_TIMEOUT, RESPONSE_TIMEOUT, STORE_TIMEOUT};
use payment::REQUEST_TIMEOUT;
use workflow_tests::world::root;

use crate::{environment::deployed_settings, template, template_yaml::TemplateYaml};

/// AWS's maximum timeout of a function with a Kafka mapping.
const MAX_MAPPING_TIMEOUT: Duration = Duration::from_mins(14);

/// The integration timeout of API Gateway.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// The default quota of concurrent invocations of an account.
const ACCOUNT_CONCURRENCY: u64 = 1_000;

/// Lambda's limit for the start of a function.
const START_TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn time_limits_end_one_inside_the_other() {
    let template = template();
    let publishing = DELIVERY_TIMEOUT + RESPONSE_MARGIN;
    for function in &template.functions {
        let name = &function.name.binary;
        // At least half of the timeout remains for deciding.
        assert!(publishing * 2 <= function.timeout, "{name}");
        assert!(function.timeout <= MAX_MAPPING_TIMEOUT, "{name}: {:?}", function.timeout);
    }
    for mapping in &template.mappings {
        let function = template.functions.iter().find(|it| it.name == mapping.function).unwrap();
        let age = mapping.maximum_record_age.expect(&mapping.logical_id);
        assert!(function.timeout < age, "{}: {age:?}", mapping.logical_id);
    }
    assert!(WARM_UP_TIMEOUT < START_TIMEOUT);
    // Two requests to Stripe fit in the time for deciding.
    let payment = template.functions.iter().find(|it| it.name.binary == "payment").unwrap();
    assert!(REQUEST_TIMEOUT * 2 < payment.timeout - publishing);
    // Inserting, publishing, and deleting an unpublished row.
    assert!(STORE_TIMEOUT * 2 + PUBLISH_TIMEOUT < HTTP_TIMEOUT);
    // A read before and after the wait; a slow start shortens the wait.
    assert!(MAX_WAIT + READ_TIMEOUT * 2 < RESPONSE_TIMEOUT);
    assert!(RESPONSE_TIMEOUT < HTTP_TIMEOUT);
}

#[test]
fn by_default_requests_leave_enough_of_the_accounts_concurrency_to_the_stages() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let default = |parameter| yaml.default_of(parameter);
    let in_burst = default("RequestBurst");
    let waiting = default("RequestsPerSecond") * default("MaxWaitSeconds");
    let mappings = u64::try_from(template.mappings.len()).unwrap();
    let stages = mappings * default("PartitionsPerTopic");
    assert!(in_burst + waiting + stages < ACCOUNT_CONCURRENCY);
    // Nothing is reserved: 100 must stay unreserved, and a new account may have only 10.
    assert_eq!(default("OrderApiConcurrency"), 0);
    let reserved = yaml.reserved_concurrency("OrderApiFunction");
    assert_eq!(reserved, ["OrderApiConcurrencyGiven", "OrderApiConcurrency", "AWS::NoValue"]);
}

#[test]
fn rows_outlive_every_record_and_records_outlive_their_retries() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let configs = yaml.topic_configs().into_iter();
    let retentions: Vec<(_, u64)> =
        configs.map(|(topic, it)| (topic, it["retention.ms"].parse().expect(topic))).collect();
    assert_eq!(retentions.len(), template.topics.len());
    for function in &template.functions {
        let row_ttl = deployed_settings(function).row_ttl.unsigned_abs();
        for (topic, retention) in &retentions {
            let retention = Duration::from_millis(*retention);
            assert!(retention < row_ttl, "{topic} keeps records longer than rows are kept");
        }
    }
    for mapping in &template.mappings {
        let retention = retentions.iter().find(|(topic, _)| *topic == mapping.topic).unwrap().1;
        let age = mapping.maximum_record_age.expect(&mapping.logical_id);
        assert!(age < Duration::from_millis(retention), "{}: {age:?}", mapping.logical_id);
    }
}

#[test]
fn the_configs_of_every_topic_are_json_that_loses_no_record() {
    let yaml = TemplateYaml::read();
    let configs = yaml.topic_configs();
    assert_eq!(configs.len(), template().topics.len());
    for (topic, configs) in configs {
        for (name, value) in [
            // Otherwise a producer's timestamps would bypass age limit and retention.
            ("message.timestamp.type", "LogAppendTime"),
            ("unclean.leader.election.enable", "false"),
            ("cleanup.policy", "delete"),
        ] {
            assert_eq!(configs.get(name).map(String::as_str), Some(value), "{topic}: {name}");
        }
    }
}

#[test]
fn retries_end_by_age_in_an_outage() {
    for mapping in &template().mappings {
        let retries = mapping.maximum_retries.expect(&mapping.logical_id);
        let age = mapping.maximum_record_age.expect(&mapping.logical_id);
        // The shortest attempt in an outage: the brokers are away. A request to DynamoDB is retried
        // until the deadline for deciding, which is later.
        assert!(DELIVERY_TIMEOUT * retries >= age, "{}: {retries}", mapping.logical_id);
    }
}

/// The lines for one stage: its resources, and every other line that names one of them.
#[test]
fn a_further_stage_costs_at_most_100_lines() {
    let text = std::fs::read_to_string(root().join("template.yaml")).expect("the template");
    // It has what every stage has: a function, a mapping, a topic. No table, nothing optional.
    let (function, topic) = ("Validator", "OrderValidatedTopic");
    let names = [&format!("{function}Function"), &format!("{function}Mapping"), topic];
    let anchor = format!("*{}", function.to_lowercase());
    let (mut lines, mut is_own) = (0, false);
    for line in text.lines() {
        if let Some(logical_id) = line.strip_prefix("  ").and_then(|it| it.strip_suffix(':')) {
            is_own = logical_id.starts_with(function) || logical_id == topic;
        }
        let names_one = names.iter().any(|name| line.contains(*name)) || line.contains(&anchor);
        let is_comment = line.trim_start().starts_with('#');
        lines += usize::from(!is_comment && (is_own || names_one));
    }
    assert!((80..=100).contains(&lines), "{lines} lines");
}
