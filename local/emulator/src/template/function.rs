//! Reads a function of the template, with the defaults of `Globals`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::document::{FunctionEvent, FunctionProperties, Resource};
use super::names::Names;
use super::typed::typed;
use super::{Function, FunctionName, Schedule, Setting, TemplateError};

/// SAM's defaults.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;

/// Lambda's limits.
const TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=900;
const MEMORY_MB: RangeInclusive<u64> = 128..=10_240;

pub(super) fn function(
    logical_id: &str,
    resource: Resource,
    globals: &FunctionProperties,
    names: &Names<'_>,
) -> Result<Function, TemplateError> {
    let Some(binary) = resource.metadata.build_properties.binary else {
        let problem = "set Metadata.BuildProperties.Binary to the name of its binary";
        return Err(TemplateError::resource(logical_id, problem));
    };
    let own: FunctionProperties = typed(logical_id, resource.properties)?;
    let number = |name: &str, value: Option<&Value>, default, range: RangeInclusive<u64>| {
        let Some(value) = value else { return Ok(default) };
        let number = names.number(value);
        number.and_then(|it| u64::try_from(it).ok()).filter(|it| range.contains(it)).ok_or_else(
            || {
                let value = number.map_or_else(|| value.to_string(), |number| number.to_string());
                let (start, end) = range.into_inner();
                let problem =
                    format!("{name} is {value}: set a whole number from {start} to {end}");
                TemplateError::resource(logical_id, problem)
            },
        )
    };
    let timeout = own.timeout.as_ref().or(globals.timeout.as_ref());
    let timeout = number("Timeout", timeout, DEFAULT_TIMEOUT_SECONDS, TIMEOUT_SECONDS)?;
    let memory = own.memory_size.as_ref().or(globals.memory_size.as_ref());
    let memory_mb = number("MemorySize", memory, DEFAULT_MEMORY_MB, MEMORY_MB)?;
    let (serves_http, schedules) = events(logical_id, own.events)?;
    let mut variables = globals.environment.variables.clone();
    variables.extend(own.environment.variables);
    Ok(Function {
        name: FunctionName { binary, logical_id: logical_id.to_owned() },
        timeout: Duration::from_secs(timeout),
        memory_mb,
        environment: environment(logical_id, variables, names)?,
        serves_http,
        schedules,
    })
}

/// Returns whether the function serves the HTTP API, and its schedules.
///
/// Any other event is an error: ignored, the function would miss invocations that it gets in AWS.
fn events(
    logical_id: &str,
    events: Map<String, Value>,
) -> Result<(bool, Vec<Schedule>), TemplateError> {
    let (mut serves_http, mut schedules) = (false, Vec::new());
    for (name, event) in events {
        let FunctionEvent { kind, properties } = typed(logical_id, event)?;
        match kind.as_str() {
            "HttpApi" => serves_http = true,
            "Schedule" => {
                let rate = properties.schedule.unwrap_or_default();
                let Some(period) = period(&rate) else {
                    let problem = format!(
                        "the schedule {name} is {rate:?}: only rates are supported, such as \
                         rate(5 minutes)"
                    );
                    return Err(TemplateError::resource(logical_id, problem));
                };
                if properties.enabled != Some(false) {
                    schedules.push(Schedule { name, period });
                }
            }
            kind => {
                let problem = format!(
                    "events of type {kind} are not supported; declare a topic that triggers the \
                     function as an AWS::Lambda::EventSourceMapping"
                );
                return Err(TemplateError::resource(logical_id, problem));
            }
        }
    }
    Ok((serves_http, schedules))
}

/// The period of `rate(5 minutes)`.
fn period(rate: &str) -> Option<Duration> {
    let (number, unit) = rate.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim().trim_end_matches('s') {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn environment(
    logical_id: &str,
    variables: Map<String, Value>,
    names: &Names<'_>,
) -> Result<Vec<(String, Setting)>, TemplateError> {
    let mut environment = Vec::new();
    for (name, value) in variables {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => {
                let problem = format!("the variable {name} must be text, or !Ref of a table");
                return Err(TemplateError::resource(logical_id, problem));
            }
        };
        let Some(setting) = names.setting(&text) else {
            let problem =
                format!("the variable {name} needs the parameter {text}: give it a Default");
            return Err(TemplateError::resource(logical_id, problem));
        };
        environment.push((name, setting));
    }
    Ok(environment)
}
