//! Each time limit ends before the one around it, and what is watched is all there is.

use std::{collections::BTreeSet, time::Duration};

use local::template::Setting;

use super::{code::Code, spelled::Spelled, template};

/// The longest time-out of a function that a Kafka mapping puts up with.
const LONGEST_OF_A_MAPPING: Duration = Duration::from_mins(14);

/// How long API Gateway waits for an answer.
const LONGEST_OF_HTTP: Duration = Duration::from_secs(30);

/// How long Lambda gives a function to start.
const LONGEST_START: Duration = Duration::from_secs(10);

#[test]
fn time_limits_end_one_inside_the_other() {
    let engine = Code::of_folder("shared/engine/src");
    let publishing = engine.seconds("DELIVERY_TIMEOUT") + engine.seconds("RESPONSE_MARGIN");
    let template = template();
    for function in &template.functions {
        let name = &function.name.binary;
        // Deciding gets at least the other half.
        assert!(publishing * 2 <= function.timeout, "{name}: {publishing:?} for publishing");
        assert!(function.timeout <= LONGEST_OF_A_MAPPING, "{name}: {:?}", function.timeout);
    }
    for mapping in &template.mappings {
        let function = template.functions.iter().find(|it| it.name == mapping.function).unwrap();
        let age = mapping.maximum_record_age.expect(&mapping.logical_id);
        assert!(function.timeout < age, "{}: {age:?}", mapping.logical_id);
    }
    assert!(engine.seconds("WARM_UP_TIMEOUT") < LONGEST_START);
    // Two tries at Stripe fit in the time for deciding.
    let stripe = Code::of_function("payment").seconds("REQUEST_TIMEOUT") * 2;
    let payment = template.functions.iter().find(|it| it.name.binary == "payment").unwrap();
    assert!(stripe < payment.timeout - publishing, "two tries at Stripe may last {stripe:?}");
    let api = Code::of_function("order-api");
    // Storing, publishing, and taking back what could not be published.
    let order = api.seconds("STORE_TIMEOUT") * 2 + api.seconds("PUBLISH_TIMEOUT");
    assert!(order < LONGEST_OF_HTTP, "taking in an order may last {order:?}");
    // Reading before the wait and after it.
    let status = api.seconds("LONGEST_WAIT") + api.seconds("READ_TIMEOUT") * 2;
    assert!(status < LONGEST_OF_HTTP, "telling the status of an order may last {status:?}");
}

#[test]
fn rows_outlive_every_record_and_records_outlive_their_retries() {
    let (template, spelled) = (template(), Spelled::read());
    let retentions = spelled.retentions();
    assert_eq!(retentions.len(), template.topics.len());
    for function in &template.functions {
        let days = function.environment.iter().find_map(|(name, value)| match value {
            Setting::Text(days) if name == "ROW_TTL_DAYS" => days.parse::<u64>().ok(),
            _ => None,
        });
        let kept = days.expect(&function.name.binary) * 24 * 60 * 60 * 1000;
        for (topic, retention) in &retentions {
            assert!(*retention < kept, "{topic} keeps records longer than rows are kept");
        }
    }
    for mapping in &template.mappings {
        let retention = retentions.iter().find(|(topic, _)| *topic == mapping.topic).unwrap().1;
        let age = mapping.maximum_record_age.expect(&mapping.logical_id);
        assert!(age < Duration::from_millis(retention), "{}: {age:?}", mapping.logical_id);
    }
}

#[test]
fn every_mapping_is_watched_for_what_waits_and_what_was_given_up() {
    let declared: BTreeSet<_> = template().mappings.into_iter().map(|it| it.logical_id).collect();
    for metric in ["MaxOffsetLag", "OnFailureDestinationDeliveredEventCount", "DroppedEventCount"] {
        let watched = Spelled::read().watched(metric, "EventSourceMappingUUID");
        assert_eq!(watched, declared, "{metric}");
    }
}

#[test]
fn every_stage_is_watched_for_the_age_of_its_records() {
    let functions = template().functions.into_iter();
    let stages = functions.flat_map(|function| Code::of_function(&function.name.binary).stages());
    let stages: BTreeSet<_> = stages.map(|stage| stage.name().to_owned()).collect();
    assert_eq!(Spelled::read().watched("RecordAge", "stage"), stages);
}

#[test]
fn every_table_and_function_is_watched() {
    let (template, spelled) = (template(), Spelled::read());
    let tables: BTreeSet<_> = template.tables.into_iter().map(|it| it.logical_id).collect();
    for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
        assert_eq!(spelled.watched(metric, "TableName"), tables, "{metric}");
    }
    let functions = template.functions.into_iter();
    let functions: BTreeSet<_> = functions.map(|it| it.name.logical_id).collect();
    for metric in ["Errors", "Throttles"] {
        assert_eq!(spelled.watched(metric, "FunctionName"), functions, "{metric}");
    }
}

#[test]
fn every_field_that_is_measured_is_logged() {
    let code = ["shared/engine/src", "functions/order-api/src"].map(Code::of_folder);
    for field in Spelled::read().measured_fields() {
        let written = [format!("{field}="), format!(",{field},")];
        let is_logged = code.iter().any(|code| written.iter().any(|it| code.contains(it)));
        assert!(is_logged || field == "message", "no line has the field {field}");
    }
}
