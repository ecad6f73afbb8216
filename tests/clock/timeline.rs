//! The time-line of an order whose clocks went back.

use contracts::StageName;
use jiff::Timestamp;
use serde_json::Value;

/// Asserts that the entries are in the order of the workflow; gives whether some entry is earlier
/// than the one before it.
pub(crate) fn goes_back(status: &Value) -> bool {
    let entries = status["timeline"].as_array().unwrap();
    let stages: Vec<_> = entries
        .iter()
        .map(|entry| StageName::from_name(entry["stage"].as_str().unwrap()).unwrap())
        .collect();
    assert!(stages.is_sorted(), "{status}");
    let times: Vec<Timestamp> =
        entries.iter().map(|entry| entry["timestamp"].as_str().unwrap().parse().unwrap()).collect();
    !times.is_sorted()
}
