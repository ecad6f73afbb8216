//! Permissions of roles and VPC endpoints: exactly those that the functions need.

use std::{collections::BTreeSet, time::Duration};

use contracts::EventType;
use emulator::template::{Function, Setting, Template};

use crate::{
    environment::names_read,
    functions::{published_events, spec_of},
    template,
    template_yaml::{Permission, TemplateYaml, texts},
};

/// Providers' services: the variable with the resource, the action on it, and the template's
/// resource.
const PROVIDERS: [(&str, &str, &str); 2] = [
    ("STRIPE_API_KEY_SECRET", "secretsmanager:GetSecretValue", "StripeApiKeySecretArn"),
    ("NOTIFICATION_TOPIC_ARN", "sns:Publish", "NotificationTopic"),
];

fn on(resource: &str, actions: &[&str]) -> Vec<Permission> {
    actions.iter().map(|action| ((*action).to_owned(), resource.to_owned())).collect()
}

fn needed(template: &Template, yaml: &TemplateYaml, function: &Function) -> BTreeSet<Permission> {
    let mut needed = tables(template, function);
    needed.extend(topics(template, yaml, function));
    needed.extend(providers(function));
    needed
}

/// The actions on tables; `Query` includes the indexes.
fn tables(template: &Template, function: &Function) -> BTreeSet<Permission> {
    let mut needed = BTreeSet::new();
    for used in spec_of(function).tables {
        let id = function.environment.iter().find_map(|variable| match variable {
            (name, Setting::TableName(table)) if name == used.variable => Some(table),
            _ => None,
        });
        let id = id.expect(used.variable);
        needed.extend(on(&format!("{id}.Arn"), used.actions));
        let table = template.tables.iter().find(|table| table.logical_id == *id).expect(id);
        for index in table.indexes.iter().filter(|_| used.actions.contains(&"dynamodb:Query")) {
            let index = format!("${{{id}.Arn}}/index/{}", index.name);
            needed.extend(on(&index, &["dynamodb:Query"]));
        }
    }
    needed
}

/// The actions on topics and consumer groups, those of the mappings included.
fn topics(template: &Template, yaml: &TemplateYaml, function: &Function) -> BTreeSet<Permission> {
    let reads = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"];
    let writes = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"];
    let joins = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"];
    let mut needed = BTreeSet::new();
    for mapping in template.mappings.iter().filter(|it| it.function == function.name) {
        needed.extend(on(yaml.topic(&mapping.topic), &reads));
        let group = format!("${{KafkaCluster.GroupArns}}/{}", yaml.consumer_group(mapping));
        needed.extend(on(&group, &joins));
        if let Some(topic) = &mapping.on_failure_topic {
            needed.extend(on(yaml.topic(topic), &writes));
        }
    }
    let spec = spec_of(function);
    let published = published_events(&spec).into_iter().chain(spec.republishes.iter().copied());
    for topic in published.map(EventType::topic) {
        needed.extend(on(yaml.topic(topic.name()), &writes));
    }
    needed
}

fn providers(function: &Function) -> BTreeSet<Permission> {
    let read = names_read(function);
    let used = PROVIDERS.iter().filter(|(variable, _, _)| read.contains(*variable));
    used.flat_map(|(_, action, resource)| on(resource, &[action])).collect()
}

#[test]
fn each_function_is_allowed_exactly_what_it_does() {
    let (template, yaml) = (template(), TemplateYaml::read());
    for function in &template.functions {
        let (allowed, needed) =
            (yaml.own_permissions(function), needed(&template, &yaml, function));
        let missing: Vec<_> = needed.difference(&allowed).collect();
        let needless: Vec<_> = allowed.difference(&needed).collect();
        assert!(missing.is_empty(), "{} is not allowed {missing:?}", function.name.binary);
        assert!(needless.is_empty(), "{} does not need {needless:?}", function.name.binary);
    }
}

#[test]
fn each_endpoint_allows_exactly_what_the_functions_do_through_it() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let of_service = |service: &str| {
        let functions = template.functions.iter();
        functions
            .flat_map(|function| needed(&template, &yaml, function))
            .filter(|(action, _)| action.split(':').next() == Some(service))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(yaml.endpoint_permissions("DynamoDbGateway"), of_service("dynamodb"));
    assert_eq!(yaml.endpoint_permissions("SnsEndpoint"), of_service("sns"));
}

#[test]
fn the_resource_of_a_provider_is_the_one_that_its_variable_names() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let payment = template.functions.iter().find(|it| it.name.binary == "payment").unwrap();
    assert_eq!(yaml.variable(payment, "STRIPE_API_KEY_SECRET"), "StripeApiKeySecretArn");
    let notification =
        template.functions.iter().find(|it| it.name.binary == "notification").unwrap();
    let arn = yaml.variable(notification, "NOTIFICATION_TOPIC_ARN");
    let name = arn.rsplit(':').next().unwrap();
    assert!(yaml.topic_name("NotificationTopic").ends_with(name), "{arn}");
}

#[test]
fn every_function_may_write_its_log() {
    let yaml = TemplateYaml::read();
    let log_group = format!("{}.Arn", yaml.log_group());
    let needed = on(&log_group, &["logs:CreateLogStream", "logs:PutLogEvents"]);
    for function in &template().functions {
        let allowed = yaml.shared_permissions(function);
        assert!(needed.iter().all(|it| allowed.contains(it)), "{}", function.name.binary);
    }
}

/// Lambda itself attaches functions to the VPC, with the permissions of their roles.
#[test]
fn the_code_of_a_function_may_not_use_the_network_interfaces() {
    let yaml = TemplateYaml::read();
    let allowed = yaml.shared_statements("Allow").into_iter();
    let allowed = allowed.flat_map(|it| texts(&it["Action"])).filter(|it| it.starts_with("ec2:"));
    let [denied] = yaml.shared_statements("Deny")[..] else { panic!("one statement denies") };
    assert_eq!(texts(&denied["Action"]), allowed.collect::<Vec<_>>());
    assert!(denied["Condition"]["ArnLike"].get("lambda:SourceFunctionArn").is_some());
}

#[test]
fn idempotent_producing_is_allowed_where_it_is_configured() {
    let brokers = kafka::Brokers::plaintext("localhost:9092");
    let config = brokers.producer_config(Duration::from_secs(1));
    let is_idempotent = config.get("enable.idempotence") == Some("true");
    let permission = ("kafka-cluster:WriteDataIdempotently".to_owned(), "KafkaCluster".to_owned());
    for function in &template().functions {
        let is_allowed = TemplateYaml::read().shared_permissions(function).contains(&permission);
        assert_eq!(is_allowed, is_idempotent, "{}", function.name.binary);
    }
}
