//! The first deployment: rollback, and the permissions of the deployer.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use workflow_tests::world::root;

use crate::{
    template,
    template_yaml::{TemplateYaml, texts},
};

#[test]
fn the_tables_of_a_failed_first_creation_can_be_deleted() {
    let yaml = TemplateYaml::read();
    for table in &template().tables {
        let protection = &yaml.properties(&table.logical_id)["DeletionProtectionEnabled"];
        assert_eq!(protection, "DeletionProtection", "{}", table.logical_id);
    }
    assert_eq!(yaml.parameter("DeletionProtection")["Default"], "false");
    let profiles = fs::read_to_string(root().join("samconfig.toml")).expect("samconfig.toml");
    let protected = "DeletionProtection=true";
    assert!(!profiles.contains(protected), "a profile has {protected} at the first deployment");
}

/// Code and variables of a function are updated one after the other; a version has both.
#[test]
fn mappings_and_requests_invoke_published_versions() {
    let yaml = TemplateYaml::read();
    assert_eq!(yaml.global("AutoPublishAlias"), "live");
    // scripts/deploy puts the digest of the parameters in its place.
    assert_eq!(*yaml.global("Tags"), json!({ "ParametersDigest": "none" }));
    for function in &template().functions {
        let properties = yaml.properties(&function.name.logical_id);
        assert_eq!(properties["AutoPublishAliasAllProperties"], true, "{}", function.name.binary);
    }
    let invoked = ["AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"]
        .into_iter()
        .flat_map(|kind| yaml.resources(kind))
        .map(|(logical_id, it)| (logical_id, &it["FunctionName"]));
    let integration = yaml.properties("HttpIntegration");
    for (logical_id, name) in invoked.chain([("HttpIntegration", &integration["IntegrationUri"])]) {
        let name = name.as_str().expect(logical_id);
        assert!(name.ends_with("Function.Alias"), "{logical_id} invokes {name}");
    }
}

#[test]
fn requests_move_to_a_new_version_gradually_and_back_when_they_fail() {
    let yaml = TemplateYaml::read();
    let preference = &yaml.properties("OrderApiFunction")["DeploymentPreference"];
    assert_eq!(preference["Alarms"], json!(["GradualDeployment", ["HttpFailingAlarm"], []]));
    assert_eq!(preference["Type"], "OrderApiDeployment");
    let kind = yaml.parameter("OrderApiDeployment")["Default"].as_str().expect("a default");
    let minutes: u64 = kind
        .trim_end_matches("Minutes")
        .rsplit(|it: char| !it.is_ascii_digit())
        .next()
        .and_then(|it| it.parse().ok())
        .expect("a canary lasts minutes");
    let alarm = yaml.properties("HttpFailingAlarm");
    let periods = alarm["Period"].as_u64().zip(alarm["EvaluationPeriods"].as_u64());
    let (period, periods) = periods.expect("the alarm has periods");
    assert!(period * periods < minutes * 60, "the alarm is slower than the deployment");
}

#[test]
fn the_name_of_the_backup_vault_fits_the_stacks_of_every_profile() {
    let yaml = TemplateYaml::read();
    let name = &yaml.properties("BackupVault")["BackupVaultName"];
    // The stack's name, a hyphen, and the first part of the UUID in the stack's id.
    assert_eq!(texts(name), ["-", "AWS::StackName", "-", "/", "AWS::StackId"]);
    let profiles = fs::read_to_string(root().join("samconfig.toml")).expect("samconfig.toml");
    let stacks = profiles.lines().filter_map(|line| line.strip_prefix("stack_name = "));
    let longest = stacks.map(|it| it.trim_matches('"').len()).max().expect("a profile");
    assert!(longest + 1 + 8 <= 50, "a stack's name has {longest} characters");
}

#[test]
fn the_deployers_policy_covers_policies_and_service_linked_roles() {
    let statements = deployers_statements();
    let actions = |statement: &Value| texts(&statement["Action"]).into_iter().collect();
    let on_roles: BTreeSet<_> = actions(&statements[0]);
    assert!(on_roles.contains("iam:ListEntitiesForPolicy"), "{on_roles:?}");
    let linked = statements.iter().filter(|it| it.get("Condition").is_some());
    let mut services = BTreeSet::new();
    for statement in linked {
        assert_eq!(actions(statement), ["iam:CreateServiceLinkedRole".to_owned()].into());
        services.extend(texts(&statement["Condition"]["StringEquals"]["iam:AWSServiceName"]));
    }
    let expected = ["kafka.amazonaws.com", "kafka.application-autoscaling.amazonaws.com"];
    assert_eq!(services, expected.map(str::to_owned).into());
}

/// The statements of the first policy in `docs/deploy.md`.
fn deployers_statements() -> Vec<Value> {
    let page = fs::read_to_string(root().join("docs/deploy.md")).expect("docs/deploy.md");
    let block = page.split("```json\n").nth(1).and_then(|it| it.split("```").next());
    let policy: Value = serde_json::from_str(block.expect("a policy")).expect("JSON");
    policy["Statement"].as_array().expect("statements").clone()
}
