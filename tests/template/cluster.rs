//! The stack's own cluster: configuration, alarms, storage.

use std::collections::BTreeSet;

use crate::template_yaml::{TemplateYaml, texts};

#[test]
fn the_brokers_lose_no_acknowledged_record_of_any_topic() {
    let yaml = TemplateYaml::read();
    let info = &yaml.properties("Cluster")["ConfigurationInfo"];
    assert_eq!(info["Arn"], "ClusterConfiguration");
    assert_eq!(info["Revision"], "ClusterConfiguration.LatestRevision.Revision");
    assert_eq!(yaml.condition("ClusterConfiguration"), yaml.condition("Cluster"));
    let configuration = yaml.properties("ClusterConfiguration");
    let lines = configuration["ServerProperties"][0].as_str().expect("text").lines();
    let lines: BTreeSet<_> = lines.collect();
    let expected = [
        "auto.create.topics.enable=false",
        "min.insync.replicas=${MinInsync}",
        "unclean.leader.election.enable=false",
    ];
    assert_eq!(lines, expected.into());
    // Two copies of three are in sync; of two one must do, or the restart of a broker stops writes.
    let copies = texts(&configuration["ServerProperties"][1]["MinInsync"]);
    assert_eq!(copies, ["TwoZones", "1", "2"]);
}

#[test]
fn disk_processor_controller_and_partitions_of_the_brokers_are_watched() {
    let yaml = TemplateYaml::read();
    let alarms: Vec<_> = yaml
        .resources("AWS::CloudWatch::Alarm")
        .map(|(logical_id, alarm)| (logical_id, alarm.to_string()))
        .filter(|(_, alarm)| alarm.contains("AWS/Kafka"))
        .collect();
    for metric in
        ["KafkaDataLogsDiskUsed", "CpuIdle", "ActiveControllerCount", "OfflinePartitionsCount"]
    {
        let of_metric = alarms.iter().find(|(_, alarm)| alarm.contains(metric));
        let (logical_id, alarm) = of_metric.expect(metric);
        assert!(alarm.contains("AWS::StackName"), "{logical_id} is of any cluster");
        assert_eq!(yaml.condition(logical_id), "OwnCluster", "{logical_id}");
    }
}

#[test]
fn the_storage_of_the_brokers_grows_and_never_shrinks() {
    let yaml = TemplateYaml::read();
    let target = yaml.properties("BrokerStorage");
    assert_eq!(target["ResourceId"], "Cluster.Arn");
    assert_eq!(target["ScalableDimension"], "kafka:broker-storage:VolumeSize");
    assert_eq!(target["MaxCapacity"], "BrokerVolumeMaxGiB");
    let policy = yaml.properties("BrokerStorageGrowth");
    assert_eq!(policy["ScalingTargetId"], "BrokerStorage");
    let tracking = &policy["TargetTrackingScalingPolicyConfiguration"];
    assert_eq!(tracking["DisableScaleIn"], true);
    for logical_id in ["BrokerStorage", "BrokerStorageGrowth"] {
        assert_eq!(yaml.condition(logical_id), "BrokerStorageGrows");
    }
    assert!(yaml.default_of("BrokerVolumeMaxGiB") > yaml.default_of("BrokerVolumeGiB"));
}
