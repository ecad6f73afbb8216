//! Memory and descriptors of this program and of the functions.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use emulator::function_host::FunctionHost;
use emulator::stack::Stack;
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);
/// Limit for connections that are not used any more to be closed. The SDK's clients keep them for 90 s.
const REST_TIMEOUT: Duration = Duration::from_secs(120);

/// Memory and descriptors of a process; the most of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) resident_kb: u64,
    pub(crate) descriptors: u64,
}

impl Usage {
    /// `None` if the process has exited, or the system has no `/proc`.
    fn of(process: &str) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident_kb = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
        Some(Self { resident_kb, descriptors: u64::try_from(descriptors).unwrap_or(u64::MAX) })
    }

    fn max(self, other: Self) -> Self {
        Self {
            resident_kb: self.resident_kb.max(other.resident_kb),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

/// The usage at the beginning and at the end of the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) start: Usage,
    pub(crate) end: Usage,
}

/// The most that one process of each function used in the first and in the last third of the load.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) functions: BTreeMap<String, Change>,
}

impl Samples {
    /// Samples until the load ends.
    pub(crate) async fn take(&mut self, stack: &Stack, started: Instant, load: Duration) {
        let Some(host) = &stack.functions else { return };
        while started.elapsed() < load {
            tokio::time::sleep(INTERVAL).await;
            let elapsed = started.elapsed();
            for (function, usage) in largest(stack, host) {
                let change = self.functions.entry(function).or_default();
                if elapsed < load / 3 {
                    change.start = change.start.max(usage);
                } else if elapsed > load / 3 * 2 {
                    change.end = change.end.max(usage);
                }
            }
        }
    }
}

fn largest(stack: &Stack, host: &FunctionHost) -> Vec<(String, Usage)> {
    let functions = stack.template.functions.iter().map(|function| &function.name.binary);
    let usages = functions.map(|function| {
        let ids = host.process_ids(function).into_iter();
        let usages = ids.filter_map(|id| Usage::of(&id.to_string()));
        (function.clone(), usages.fold(Usage::default(), Usage::max))
    });
    usages.collect()
}

/// The usage of this program at rest: without function processes, and once it has no more
/// descriptors than `expected`, or after a time limit.
pub(crate) async fn at_rest(stack: &Stack, expected: Option<u64>) -> Usage {
    if let Some(host) = &stack.functions {
        for function in &stack.template.functions {
            host.kill(&function.name.binary).await;
        }
    }
    let until = Instant::now() + REST_TIMEOUT;
    let mut last = Usage::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let usage = Usage::of("self").unwrap_or_default();
        let is_still = match expected {
            Some(expected) => usage.descriptors <= expected,
            None => usage.descriptors == last.descriptors,
        };
        if is_still || Instant::now() > until {
            return usage;
        }
        last = usage;
    }
}
