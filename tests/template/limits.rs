//! Nested timeouts, retention and concurrency: each limit fits into the one around it.

use std::time::Duration;

use engine::{
    context::WARM_UP_TIMEOUT,
    engine::{DELIVERY_TIMEOUT, RESPONSE_MARGIN},
};
use order_api::{MAX_WAIT, PUBLISH_TIMEOUT, READ_TIMEOUT, RESPONSE_TIMEOUT, STORE_TIMEOUT};
use payment::REQUEST_TIMEOUT;

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
    assert_eq!(reserved, ["ReservedConcurrency", "OrderApiConcurrency", "AWS::NoValue"]);
}

#[test]
fn rows_outlive_every_record_and_records_outlive_their_retries() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let retentions = yaml.retentions();
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
fn the_time_of_a_record_is_the_brokers() {
    // Otherwise a producer's timestamps would bypass age limit and retention.
    for topic in template().topics {
        let time = topic.configs.iter().find(|(name, _)| name == "message.timestamp.type");
        let (_, time) = time.expect(&topic.name);
        assert_eq!(time, "LogAppendTime", "{}", topic.name);
    }
}
