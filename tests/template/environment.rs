//! Environment variables in the template: exactly those that each function's settings read.

use std::collections::{BTreeMap, BTreeSet};

use emulator::template::{Function, Setting};
use runtime::{Environment, KafkaAuth, Settings, SettingsError};
use serde_json::Value;

use crate::{
    functions::spec_of,
    template,
    template_yaml::{TemplateYaml, texts},
};

/// Optional variables that no deployment sets: for local brokers and a local Stripe.
const LOCAL_ONLY: [&str; 3] = ["KAFKA_CA_FILE", "STRIPE_API_BASE", "STRIPE_API_KEY"];

/// Example values of parameters that are empty by default and needed for one choice only.
const EXAMPLES: [(&str, &str); 1] =
    [("STRIPE_API_KEY_SECRET", "arn:aws:secretsmanager:us-east-1:123456789012:secret:stripe")];

type Variables = BTreeMap<String, String>;

/// The variables of a function in a deployment with default parameters.
fn variables(function: &Function) -> Variables {
    let mut variables = Variables::new();
    for (name, setting) in &function.environment {
        let example = EXAMPLES.iter().find(|(of, _)| of == name).map(|(_, example)| *example);
        let value = match setting {
            Setting::Text(text) => example.map_or_else(|| filled_in(text), str::to_owned),
            Setting::BootstrapServers => "localhost:9098".to_owned(),
            Setting::TableName(table) => table.clone(),
        };
        variables.insert(name.clone(), value);
    }
    variables
}

/// Replaces CloudFormation's pseudo parameters by example values.
fn filled_in(text: &str) -> String {
    text.replace("${AWS::Partition}", "aws")
        .replace("${AWS::Region}", "us-east-1")
        .replace("${AWS::AccountId}", "123456789012")
        .replace("${AWS::StackName}", "orders")
        .replace("${NotificationTopicSuffix}", "")
}

/// The variables of a function for each combination of the parameters' allowed values.
fn deployments(yaml: &TemplateYaml, function: &Function) -> Vec<Variables> {
    let mut deployments = vec![variables(function)];
    for (name, choices) in choices(yaml, function) {
        let with = |variables: &Variables, choice: &String| {
            let mut variables = variables.clone();
            variables.insert(name.clone(), choice.clone());
            variables
        };
        deployments = deployments
            .iter()
            .flat_map(|variables| choices.iter().map(move |choice| with(variables, choice)))
            .collect();
    }
    deployments
}

/// The variables that refer to a parameter with allowed values.
fn choices(yaml: &TemplateYaml, function: &Function) -> Vec<(String, Vec<String>)> {
    let names = function.environment.iter().map(|(name, _)| name);
    names
        .filter_map(|name| {
            let parameter = yaml.parameter_of(function, name)?;
            let values = texts(&parameter["AllowedValues"]);
            (!values.is_empty()).then(|| (name.clone(), values))
        })
        .collect()
}

/// Reads a function's settings; returns the names of the variables read, and the result.
fn read(
    function: &Function,
    variables: &Variables,
) -> (BTreeSet<String>, Result<(), SettingsError>) {
    let mut environment = Environment::new(variables.clone());
    (spec_of(function).read_settings)(&mut environment);
    (environment.names_read().clone(), environment.finish(()))
}

/// The names of all variables that a function reads in any deployment.
pub(crate) fn names_read(function: &Function) -> BTreeSet<String> {
    let deployments = deployments(&TemplateYaml::read(), function).into_iter();
    deployments.flat_map(|variables| read(function, &variables).0).collect()
}

/// The common settings of a function, with the template's values.
pub(crate) fn deployed_settings(function: &Function) -> Settings {
    let mut environment = Environment::new(variables(function));
    let settings = Settings::read(&mut environment);
    environment.finish(settings).expect("valid settings")
}

#[test]
fn each_function_is_given_exactly_the_variables_that_it_reads() {
    for function in &template().functions {
        let given: BTreeSet<_> = function.environment.iter().map(|it| it.0.clone()).collect();
        let mut read = names_read(function);
        read.retain(|name| !LOCAL_ONLY.contains(&name.as_str()));
        assert_eq!(given, read, "{}", function.name.binary);
    }
}

#[test]
fn each_function_starts_with_the_variables_of_every_deployment() {
    let yaml = TemplateYaml::read();
    for function in &template().functions {
        assert_eq!(deployed_settings(function).kafka_auth, KafkaAuth::MskIam);
        for variables in deployments(&yaml, function) {
            let (_, result) = read(function, &variables);
            assert_eq!(result, Ok(()), "{}: {variables:?}", function.name.binary);
        }
    }
}

#[test]
fn a_parameter_allows_the_values_that_the_function_accepts() {
    let (yaml, template) = (TemplateYaml::read(), template());
    let mut checked = BTreeSet::new();
    for function in &template.functions {
        let with = |name: &str, value: &str| {
            let mut variables = variables(function);
            variables.insert(name.to_owned(), value.to_owned());
            read(function, &variables).1
        };
        for (name, choices) in choices(&yaml, function) {
            let error = with(&name, "?").expect_err(&name).to_string();
            let allowed = format!("{name} is \"?\", but must be {}", choices.join(" or "));
            assert!(error.lines().any(|line| line.trim() == allowed), "{allowed}: {error}");
            checked.insert(name);
        }
        for (name, _) in &function.environment {
            let Some(parameter) = yaml.parameter_of(function, name) else { continue };
            let bound = |name| parameter.get(name).and_then(Value::as_i64);
            let (Some(min), Some(max)) = (bound("MinValue"), bound("MaxValue")) else { continue };
            for (value, is_allowed) in
                [(min - 1, false), (min, true), (max, true), (max + 1, false)]
            {
                let result = with(name, &value.to_string());
                assert_eq!(result.is_ok(), is_allowed, "{name}={value}: {result:?}");
            }
            checked.insert(name.clone());
        }
    }
    let expected = [
        "CURRENCY_DECIMALS",
        "MAX_WAIT_SECONDS",
        "NOTIFICATION_CHANNEL",
        "ORDER_EXPIRES_AFTER_SECONDS",
        "PAYMENT_PROVIDER",
    ];
    assert_eq!(checked, expected.map(str::to_owned).into());
}

#[test]
fn every_table_is_given_to_a_function_and_every_variable_of_a_table_names_one() {
    let template = template();
    let mut given = BTreeSet::new();
    for function in &template.functions {
        let mut variables = BTreeSet::new();
        for (name, setting) in &function.environment {
            match setting {
                Setting::TableName(table) => {
                    given.insert(table.clone());
                    variables.insert(name.as_str());
                }
                _ => assert!(!name.ends_with("_TABLE"), "{name} is not a table of the template"),
            }
        }
        let used = spec_of(function).tables.iter().map(|it| it.variable).collect();
        assert_eq!(variables, used, "{}", function.name.binary);
    }
    let declared: BTreeSet<_> = template.tables.into_iter().map(|table| table.logical_id).collect();
    assert_eq!(given, declared);
}
