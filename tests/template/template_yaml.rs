//! The parts of `template.yaml` that the local run ignores: roles, policies, alarms.

use std::collections::{BTreeMap, BTreeSet};

use emulator::template::{Function, Mapping, Template};
use serde_json::{Value, json};
use workflow_tests::world::root;

/// The template as YAML. Short-form intrinsics have lost their tag: `!Ref Orders` is `Orders`.
pub(crate) struct TemplateYaml(Value);

/// An action and the resource on which it is allowed.
pub(crate) type Permission = (String, String);

impl TemplateYaml {
    pub(crate) fn read() -> Self {
        let path = root().join("template.yaml");
        Self(Template::as_spelled(&path).expect("the template is readable"))
    }

    /// The resources of one type: logical id and properties.
    pub(crate) fn resources<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.0["Resources"].as_object().expect("there are resources");
        let of_kind = resources.iter().filter(move |(_, it)| it["Type"] == kind);
        of_kind.map(|(logical_id, it)| (logical_id.as_str(), &it["Properties"]))
    }

    pub(crate) fn properties(&self, logical_id: &str) -> &Value {
        &self.0["Resources"][logical_id]["Properties"]
    }

    /// The folder of a function's sources.
    pub(crate) fn code_uri(&self, function: &Function) -> &str {
        self.properties(&function.name.logical_id)["CodeUri"].as_str().unwrap_or_default()
    }

    /// The parameter that a function's variable refers to, if any.
    pub(crate) fn parameter_of(&self, function: &Function, variable: &str) -> Option<&Value> {
        let own = self.properties(&function.name.logical_id);
        let value = &own["Environment"]["Variables"][variable];
        self.0["Parameters"].get(value.as_str()?)
    }

    /// The condition on which a resource is created, or null.
    pub(crate) fn condition(&self, logical_id: &str) -> &Value {
        &self.0["Resources"][logical_id]["Condition"]
    }

    pub(crate) fn parameter(&self, name: &str) -> &Value {
        &self.0["Parameters"][name]
    }

    /// The default of a numeric parameter.
    pub(crate) fn default_of(&self, parameter: &str) -> u64 {
        self.0["Parameters"][parameter]["Default"].as_u64().expect(parameter)
    }

    /// The reserved concurrency of a function, unresolved.
    pub(crate) fn reserved_concurrency(&self, logical_id: &str) -> Vec<String> {
        texts(&self.properties(logical_id)["ReservedConcurrentExecutions"])
    }

    /// The parameters that a rule requires together with this one.
    pub(crate) fn required_with(&self, parameter: &str) -> BTreeSet<String> {
        let is_given = |it: &Value, name: &str| *it == json!([[name, ""]]);
        let rules = self.0["Rules"].as_object().expect("there are rules").values();
        let rules = rules.filter(|rule| is_given(&rule["RuleCondition"], parameter));
        let assertions = rules.flat_map(|rule| rule["Assertions"].as_array().into_iter().flatten());
        let required = assertions
            .map(|it| &it["Assert"])
            .filter_map(|it| it[0][0].as_str().map(|name| (it, name)));
        required.filter(|(it, name)| is_given(it, name)).map(|(_, name)| name.to_owned()).collect()
    }

    /// The value of a function's own variable, unresolved.
    pub(crate) fn variable(&self, function: &Function, name: &str) -> &str {
        let own = self.properties(&function.name.logical_id);
        own["Environment"]["Variables"][name].as_str().expect(name)
    }

    /// The name of an SNS topic, unresolved.
    pub(crate) fn topic_name(&self, logical_id: &str) -> &str {
        self.properties(logical_id)["TopicName"].as_str().expect("the topic has a name")
    }

    /// The logical id of a Kafka topic.
    pub(crate) fn topic(&self, name: &str) -> &str {
        let mut topics = self.resources("AWS::MSK::Topic");
        let name = format!("${{TopicPrefix}}{name}");
        topics.find(|(_, it)| it["TopicName"] == name).expect("the topic is declared").0
    }

    /// The consumer group of a mapping.
    pub(crate) fn consumer_group(&self, mapping: &Mapping) -> &str {
        let config = &self.properties(&mapping.logical_id)["AmazonManagedKafkaEventSourceConfig"];
        config["ConsumerGroupId"].as_str().expect("the mapping has a consumer group")
    }

    /// The configs of each topic, as its JSON object has them, by name.
    pub(crate) fn topic_configs(&self) -> Vec<(&str, BTreeMap<String, String>)> {
        let topics = self.resources("AWS::MSK::Topic").map(|(logical_id, topic)| {
            let json = topic["Configs"]["Fn::Base64"][0].as_str().expect(logical_id);
            let configs = serde_json::from_str(json).expect(logical_id);
            let name = topic["TopicName"].as_str().expect(logical_id);
            (name.trim_start_matches("${TopicPrefix}"), configs)
        });
        topics.collect()
    }

    /// A property that all functions have.
    pub(crate) fn global(&self, property: &str) -> &Value {
        &self.0["Globals"]["Function"][property]
    }

    /// The logical id of the functions' log group.
    pub(crate) fn log_group(&self) -> &str {
        self.global("LoggingConfig")["LogGroup"].as_str().expect("the functions have a log group")
    }

    /// The permissions of a function's own role, those of all providers included, without the
    /// policies shared by all functions.
    pub(crate) fn own_permissions(&self, function: &Function) -> BTreeSet<Permission> {
        let policies = self.role(function)["Policies"].as_array().expect("the role has policies");
        let role = self.role_name(function);
        let by_parameter = self.resources("AWS::IAM::RolePolicy").map(|(_, policy)| policy);
        let by_parameter = by_parameter.filter(|policy| policy["RoleName"] == role);
        let policies = policies.iter().chain(by_parameter);
        policies.flat_map(|policy| permissions(&policy["PolicyDocument"]["Statement"])).collect()
    }

    /// The permissions of the policies that a function shares with the others.
    pub(crate) fn shared_permissions(&self, function: &Function) -> BTreeSet<Permission> {
        let policies = texts(&self.role(function)["ManagedPolicyArns"]);
        let documents = policies.iter().map(|it| &self.properties(it)["PolicyDocument"]);
        documents.flat_map(|document| permissions(&document["Statement"])).collect()
    }

    /// The statements of the policy that all functions share, whose effect is this.
    pub(crate) fn shared_statements(&self, effect: &str) -> Vec<&Value> {
        let statements = &self.properties("FunctionPolicy")["PolicyDocument"]["Statement"];
        let statements = statements.as_array().expect("a policy has statements");
        statements.iter().filter(|it| it["Effect"] == effect).collect()
    }

    /// The permissions of a VPC endpoint's policy in the stack's own network.
    pub(crate) fn endpoint_permissions(&self, logical_id: &str) -> BTreeSet<Permission> {
        let statements = &self.properties(logical_id)["PolicyDocument"]["Statement"];
        let by_network = statements[0] == "OwnCluster";
        permissions(if by_network { &statements[1] } else { statements }).into_iter().collect()
    }

    fn role(&self, function: &Function) -> &Value {
        self.properties(self.role_name(function))
    }

    fn role_name(&self, function: &Function) -> &str {
        let arn = self.properties(&function.name.logical_id)["Role"].as_str();
        arn.expect("the function has a role").trim_end_matches(".Arn")
    }

    /// The alarm on one metric of a mapping.
    pub(crate) fn alarm_on(&self, metric: &str, mapping: &Mapping) -> &Value {
        let mut alarms = self.resources("AWS::CloudWatch::Alarm").map(|(_, it)| it);
        let alarm = alarms.find(|it| {
            let of_mapping = texts(&it["Dimensions"][0]["Value"]) == [mapping.logical_id.as_str()];
            it["MetricName"] == metric && of_mapping
        });
        let missing = format!("{} has no alarm on {metric}", mapping.logical_id);
        alarm.expect(&missing)
    }

    /// The names of the alarms, without the stack's.
    pub(crate) fn alarms(&self) -> BTreeSet<String> {
        let names = self.resources("AWS::CloudWatch::Alarm").map(|(_, it)| texts(&it["AlarmName"]));
        names.flatten().map(|it| it.replace("${AWS::StackName}-", "")).collect()
    }

    /// The values of a dimension for which this metric has an alarm.
    pub(crate) fn watched(&self, metric: &str, dimension: &str) -> BTreeSet<String> {
        let mut watched = BTreeSet::new();
        for (_, alarm) in self.resources("AWS::CloudWatch::Alarm") {
            let several = alarm["Metrics"].as_array().into_iter().flatten();
            let metrics = several.map(|it| &it["MetricStat"]["Metric"]).chain([alarm]);
            for of_metric in metrics.filter(|it| it["MetricName"] == metric) {
                let dimensions = of_metric["Dimensions"].as_array().into_iter().flatten();
                let named = dimensions.filter(|it| it["Name"] == dimension);
                watched.extend(named.flat_map(|it| texts(&it["Value"])));
            }
        }
        watched
    }

    /// The log groups whose lines are measured as this metric.
    pub(crate) fn measured_groups(&self, metric: &str) -> BTreeSet<&str> {
        let filters = self.resources("AWS::Logs::MetricFilter").map(|(_, it)| it);
        let of_metric = filters.filter(|it| {
            let transformations = it["MetricTransformations"].as_array().into_iter().flatten();
            transformations.into_iter().any(|it| it["MetricName"] == metric)
        });
        of_metric.filter_map(|it| it["LogGroupName"].as_str()).collect()
    }

    /// The log fields that metric filters read.
    pub(crate) fn measured_fields(&self) -> BTreeSet<String> {
        let filters = self.resources("AWS::Logs::MetricFilter").map(|(_, it)| it.to_string());
        let texts: Vec<_> = filters.collect();
        let fields = texts.iter().flat_map(|text| text.split("$.").skip(1));
        let names = fields.filter_map(|text| text.split(|it: char| !it.is_alphanumeric()).next());
        names.map(str::to_owned).collect()
    }

    pub(crate) fn dashboard(&self) -> &str {
        self.properties("Dashboard")["DashboardBody"].as_str().expect("the dashboard has a body")
    }
}

fn permissions(statements: &Value) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for statement in statements.as_array().expect("a policy has statements") {
        // The first choice of an `!If`.
        let statement = statement.get(1).unwrap_or(statement);
        if statement["Effect"] == "Deny" {
            continue;
        }
        for action in texts(&statement["Action"]) {
            let resources = texts(&statement["Resource"]).into_iter();
            permissions.extend(resources.map(|resource| (action.clone(), resource)));
        }
    }
    permissions
}

/// A string, or the strings of a list.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        value => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}
