//! Triggers, variables and permissions of each function: exactly those that its code uses.

use std::collections::BTreeSet;

use local::template::{Function, Setting, Template};

use super::{
    code::{Code, TableAction, topics},
    spelled::{Permission, Spelled},
    template,
};

#[test]
fn each_function_is_fired_by_the_topics_that_its_stages_consume() {
    let template = template();
    for function in &template.functions {
        let stages = Code::of_function(&function.name.binary).stages();
        let consumed = topics(stages.into_iter().flat_map(|stage| stage.spec().consumed_events()));
        let consumed: Vec<_> = consumed.into_iter().map(|topic| topic.name()).collect();
        let mut fired_by = topics_of(&template, function);
        fired_by.sort_unstable_by_key(|name| contracts::Topic::from_name(name));
        assert_eq!(fired_by, consumed, "{}", function.name.binary);
    }
}

#[test]
fn each_function_is_told_every_variable_that_it_needs_and_no_other_than_it_reads() {
    let (needed_by_all, optional_for_all) = Code::of_folder("shared/runtime/src").variables();
    for function in &template().functions {
        let (mut needed, mut known) = Code::of_function(&function.name.binary).variables();
        needed.extend(needed_by_all.iter().cloned());
        known.extend(optional_for_all.iter().cloned());
        known.extend(needed.iter().cloned());
        let told: BTreeSet<_> = function.environment.iter().map(|(name, _)| name.clone()).collect();
        let missing: Vec<_> = needed.difference(&told).collect();
        let unread: Vec<_> = told.difference(&known).collect();
        assert!(missing.is_empty(), "{} is not told {missing:?}", function.name.binary);
        assert!(unread.is_empty(), "{} does not read {unread:?}", function.name.binary);
    }
}

#[test]
fn every_table_is_told_to_a_function_and_every_variable_of_a_table_names_one() {
    let template = template();
    let mut told = BTreeSet::new();
    for (name, setting) in template.functions.iter().flat_map(|function| &function.environment) {
        match setting {
            Setting::TableName(table) => drop(told.insert(table.clone())),
            _ => assert!(!name.ends_with("_TABLE"), "{name} names no table of the template"),
        }
    }
    let declared: BTreeSet<_> = template.tables.into_iter().map(|table| table.logical_id).collect();
    assert_eq!(told, declared);
}

#[test]
fn each_function_may_do_exactly_what_its_code_does() {
    let (template, spelled) = (template(), Spelled::read());
    for function in &template.functions {
        let allowed = spelled.own_permissions(function);
        let used = used(&template, &spelled, function);
        let missing: Vec<_> = used.difference(&allowed).collect();
        let needless: Vec<_> = allowed.difference(&used).collect();
        assert!(missing.is_empty(), "{} may not {missing:?}", function.name.binary);
        assert!(needless.is_empty(), "{} needs no {needless:?}", function.name.binary);
    }
}

#[test]
fn producing_idempotently_is_allowed_to_the_functions_that_do_it() {
    let idempotent =
        Code::of_folder("shared/kafka/src").contains(".set(\"enable.idempotence\",\"true\")");
    let permission = ("kafka-cluster:WriteDataIdempotently".to_owned(), "KafkaCluster".to_owned());
    for function in &template().functions {
        let allowed = Spelled::read().shared_permissions(function).contains(&permission);
        assert_eq!(allowed, idempotent, "{}", function.name.binary);
    }
}

#[test]
fn every_index_that_is_read_is_declared_with_the_attributes_that_are_written() {
    let reads = Code::of_folder("shared/engine/src");
    let row = Code::of_folder("shared/engine/src/row.rs");
    let indexes = template().tables.into_iter().flat_map(|table| table.indexes);
    let indexes: Vec<_> = indexes.collect();
    assert_eq!(indexes.len(), 1);
    for index in indexes {
        assert!(reads.contains(&format!("_INDEX:&str=\"{}\"", index.name)), "{}", index.name);
        for key in index.key {
            assert!(row.contains(&format!(":&str=\"{}\"", key.attribute)), "{}", key.attribute);
        }
    }
}

/// Calls to services beside Kafka and DynamoDB, and what each has to be allowed on which resource.
const PROVIDERS: [(&str, &str, &str); 2] = [
    (".get_secret_value()", "secretsmanager:GetSecretValue", "StripeApiKeySecretArn"),
    (".client.publish()", "sns:Publish", "NotificationTopic"),
];

/// What a function uses, by its code and its mappings.
fn used(template: &Template, spelled: &Spelled, function: &Function) -> BTreeSet<Permission> {
    let code = Code::of_function(&function.name.binary);
    let mut used = BTreeSet::new();
    let mut uses = |resource: String, actions: &[&str]| {
        used.extend(actions.iter().map(|action| ((*action).to_owned(), resource.clone())));
    };
    let reads = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"];
    let writes = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"];
    let joins = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"];
    for mapping in template.mappings.iter().filter(|it| it.function == function.name) {
        uses(spelled.topic(&mapping.topic).to_owned(), &reads);
        let group = spelled.consumer_group(mapping);
        uses(format!("${{KafkaCluster.GroupArns}}/{group}"), &joins);
        if let Some(topic) = &mapping.on_failure_topic {
            uses(spelled.topic(topic).to_owned(), &writes);
        }
    }
    for topic in topics(code.published()) {
        uses(spelled.topic(topic.name()).to_owned(), &writes);
    }
    for (name, setting) in &function.environment {
        let Setting::TableName(table) = setting else { continue };
        let actions: Vec<TableAction> = match name.as_str() {
            "ORDERS_TABLE" => code.actions_on_orders().into_iter().collect(),
            _ if code.has_effects() => vec![("dynamodb:UpdateItem", None)],
            _ => Vec::new(),
        };
        for (action, index) in actions {
            match index {
                None => uses(format!("{table}.Arn"), &[action]),
                Some(index) => uses(format!("${{{table}.Arn}}/index/{index}"), &[action]),
            }
        }
    }
    for (call, action, resource) in PROVIDERS {
        if code.contains(call) {
            uses(resource.to_owned(), &[action]);
        }
    }
    let logs = ["logs:CreateLogStream", "logs:PutLogEvents"];
    uses(format!("{}.Arn", spelled.log_group(function)), &logs);
    used
}

fn topics_of<'a>(template: &'a Template, function: &Function) -> Vec<&'a str> {
    let mappings = template.mappings.iter().filter(|mapping| mapping.function == function.name);
    mappings.map(|mapping| mapping.topic.as_str()).collect()
}
