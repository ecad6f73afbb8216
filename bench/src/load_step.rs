//! One step of the load, and its latencies.

use std::time::Duration;

use serde_json::{Value, json};

use crate::report::Section;
use crate::stage::STEPS;
use crate::statistics::percentile;
use terminal::grouped;

/// Duration of one rate.
pub(crate) const STEP: Duration = Duration::from_secs(5);
/// Below this share of the rate, the workflow is saturated.
const SATURATED_PERCENT: u64 = 80;

/// Milliseconds since the epoch of an order's POST and of its event on each topic.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    pub(crate) posted: u64,
    pub(crate) events: Vec<Option<u64>>,
}

impl Default for Times {
    fn default() -> Self {
        Self { posted: 0, events: vec![None; STEPS.len()] }
    }
}

/// A step of the load.
pub(crate) struct Step {
    pub(crate) rate: u64,
    pub(crate) posted: u64,
    pub(crate) orders: Vec<Times>,
}

impl Times {
    pub(crate) fn completed(&self) -> Option<u64> {
        self.events.last().copied().flatten()
    }

    /// Milliseconds from the previous step's event, or the POST, to that of a step.
    fn stage(&self, index: usize) -> Option<u64> {
        let before = match index.checked_sub(1) {
            None => self.posted,
            Some(before) => self.events.get(before).copied().flatten()?,
        };
        Some(self.events.get(index).copied().flatten()?.saturating_sub(before))
    }
}

impl Step {
    pub(crate) fn completed(&self) -> u64 {
        let completed = self.orders.iter().filter(|order| order.completed().is_some()).count();
        u64::try_from(completed).unwrap_or(u64::MAX)
    }

    /// Completed orders a second, from the first POST to the last event.
    fn throughput(&self) -> u64 {
        let first = self.orders.iter().map(|order| order.posted).min().unwrap_or_default();
        let last = self.orders.iter().filter_map(Times::completed).max().unwrap_or_default();
        self.completed() * 1_000 / last.saturating_sub(first).max(1)
    }

    pub(crate) fn is_saturated(&self) -> bool {
        let all = self.posted == self.rate * STEP.as_secs() && self.completed() == self.posted;
        !all || self.throughput() * 100 < self.rate * SATURATED_PERCENT
    }

    /// Sorted milliseconds from POST to the last event.
    fn latencies(&self) -> Vec<u64> {
        let mut latencies: Vec<u64> = self
            .orders
            .iter()
            .filter_map(|order| Some(order.completed()?.saturating_sub(order.posted)))
            .collect();
        latencies.sort_unstable();
        latencies
    }

    fn stage_median(&self, index: usize) -> u64 {
        let mut times: Vec<u64> = self.orders.iter().filter_map(|it| it.stage(index)).collect();
        times.sort_unstable();
        percentile(&times, 50)
    }

    fn stage_medians(&self) -> Vec<u64> {
        (0..STEPS.len()).map(|index| self.stage_median(index)).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let latencies = self.latencies();
        json!({
            "rate": self.rate,
            "posted": self.posted,
            "completed": self.completed(),
            "completedPerSecond": self.throughput(),
            "p50Ms": percentile(&latencies, 50),
            "p99Ms": percentile(&latencies, 99),
            "stageMedianMs": self.stage_medians(),
        })
    }
}

pub(crate) fn section(steps: &[Step]) -> Section {
    let mut header = vec!["orders/s sent", "completed/s", "completed", "p50 ms", "p99 ms"];
    header.extend(STEPS.iter().map(|(name, _)| *name));
    let mut section = Section::new("Load: POST to OrderCompleted, stages by median ms", &header);
    section.rows = steps
        .iter()
        .map(|step| {
            let latencies = step.latencies();
            let completed = format!("{} of {}", step.completed(), step.posted);
            let figures = [percentile(&latencies, 50), percentile(&latencies, 99)];
            let figures = figures.into_iter().chain(step.stage_medians()).map(grouped);
            [grouped(step.rate), grouped(step.throughput()), completed]
                .into_iter()
                .chain(figures)
                .collect()
        })
        .collect();
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(posted: u64, completed: Option<u64>) -> Times {
        let mut events = Times::default().events;
        events[..3].copy_from_slice(&[Some(posted + 2), Some(posted + 5), Some(posted + 9)]);
        *events.last_mut().unwrap() = completed;
        Times { posted, events }
    }

    #[test]
    fn a_step_counts_what_has_completed() {
        let orders = vec![order(1_000, Some(1_020)), order(1_500, Some(2_000)), order(1_600, None)];
        let step = Step { rate: 1, posted: 3, orders };
        assert_eq!((step.completed(), step.throughput()), (2, 2));
        assert_eq!(step.latencies(), [20, 500]);
        let medians = step.stage_medians();
        assert_eq!(medians[..3], [2, 3, 4]);
        assert!(medians[3..].iter().all(|median| *median == 0), "{medians:?}");
        assert!(step.is_saturated());
    }

    #[test]
    fn a_step_that_keeps_up_is_not_saturated() {
        let orders = (0..5).map(|second| order(second * 1_000, Some(second * 1_000 + 40)));
        let step = Step { rate: 1, posted: 5, orders: orders.collect() };
        assert!(!step.is_saturated());
    }
}
