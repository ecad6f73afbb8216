//! The rules for memory and descriptors.

use std::collections::BTreeMap;

use terminal::grouped;

use super::resources::{Change, Usage};

/// Memory of a function's process may rise by a quarter and this, between two thirds of the load.
const FUNCTION_SLACK_KB: u64 = 8 * 1024;
const FUNCTION_SLACK_DESCRIPTORS: u64 = 16;

/// This program keeps the records of the topics, and of every order what the books need.
const KB_PER_ORDER: u64 = 4;
const PROGRAM_SLACK_KB: u64 = 48 * 1024;
/// Each of its 18 Kafka clients may keep a further connection after an outage of the broker: a
/// socket at both ends, which are in this process, and a pipe.
pub(super) const PROGRAM_SLACK_DESCRIPTORS: u64 = 18 * 4;

/// The data that this program keeps in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// On the topics of the embedded broker.
    pub(super) records_kb: u64,
    pub(super) orders: u64,
}

/// The functions whose processes grow. One without a process in the first third of a short load is
/// left out.
pub(super) fn growing_functions(functions: &BTreeMap<String, Change>) -> Vec<String> {
    let mut entries = Vec::new();
    let sampled = functions.iter().filter(|(_, change)| change.start != Usage::default());
    for (function, Change { start, end }) in sampled {
        if end.resident_kb > start.resident_kb + start.resident_kb / 4 + FUNCTION_SLACK_KB {
            entries.push(format!(
                "the memory of {function} grew from {} to {}",
                megabytes(start.resident_kb),
                megabytes(end.resident_kb)
            ));
        }
        if end.descriptors > start.descriptors + FUNCTION_SLACK_DESCRIPTORS {
            entries.push(format!(
                "the descriptors of {function} grew from {} to {}",
                start.descriptors, end.descriptors
            ));
        }
    }
    entries
}

/// The growth of this program that its data do not explain.
pub(super) fn growing_program(program: Change, kept: Kept) -> Vec<String> {
    let Change { start, end } = program;
    let mut entries = Vec::new();
    let explained = kept.records_kb + kept.orders * KB_PER_ORDER + PROGRAM_SLACK_KB;
    let grown = end.resident_kb.saturating_sub(start.resident_kb);
    if grown > explained {
        entries.push(format!(
            "the memory of this program grew by {}, of which its data explain {}",
            megabytes(grown),
            megabytes(explained)
        ));
    }
    if end.descriptors > start.descriptors + PROGRAM_SLACK_DESCRIPTORS {
        entries.push(format!(
            "the descriptors of this program grew from {} to {}",
            start.descriptors, end.descriptors
        ));
    }
    entries
}

/// Lines of the report.
pub(super) fn lines(
    functions: &BTreeMap<String, Change>,
    program: Change,
    kept: Kept,
) -> Vec<String> {
    let usage = |name: &str, Change { start, end }: Change| {
        let Usage { resident_kb, descriptors } = start;
        format!(
            "  {name:<14} {:>8} -> {:>8}   {descriptors:>4} -> {:>4} descriptors",
            megabytes(resident_kb),
            megabytes(end.resident_kb),
            end.descriptors
        )
    };
    let grown = program.end.resident_kb.saturating_sub(program.start.resident_kb);
    let other = grown.saturating_sub(kept.records_kb);
    let per_order = other.saturating_mul(1_024) / kept.orders.max(1);
    let data = format!(
        "  this program grew by {}: {} of records on the topics, and {} bytes an order",
        megabytes(grown),
        megabytes(kept.records_kb),
        grouped(per_order),
    );
    let title = "Memory and descriptors: this program at rest, after the warm-up and at the end; of a \
                 function, the largest process in the first and in the last third of the load";
    let functions = functions.iter().map(|(name, change)| usage(name, *change));
    std::iter::once(title.to_owned())
        .chain(std::iter::once(usage("this program", program)))
        .chain(functions)
        .chain(std::iter::once(data))
        .collect()
}

fn megabytes(kilobytes: u64) -> String {
    format!("{} MB", grouped(kilobytes / 1_024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(start: (u64, u64), end: (u64, u64)) -> Change {
        let usage = |(resident_kb, descriptors)| Usage { resident_kb, descriptors };
        Change { start: usage(start), end: usage(end) }
    }

    #[test]
    fn a_function_that_grows_is_named() {
        let grows = |change| growing_functions(&[("payment".to_owned(), change)].into());
        assert!(grows(change((20_000, 20), (24_000, 30))).is_empty());
        assert!(grows(change((0, 0), (24_000, 30))).is_empty());
        assert!(grows(change((20_000, 20), (40_000, 20))).concat().contains("memory of payment"));
        let descriptors = grows(change((20_000, 20), (20_000, 60)));
        assert!(descriptors.concat().contains("descriptors of payment grew from 20 to 60"));
    }

    #[test]
    fn growth_beyond_the_data_is_named() {
        let kept = Kept { records_kb: 10_000, orders: 1_000 };
        let grows = |change| growing_program(change, kept);
        assert!(grows(change((100_000, 200), (115_000, 210))).is_empty());
        assert!(grows(change((100_000, 200), (190_000, 200))).concat().contains("grew by 87 MB"));
        assert!(grows(change((100_000, 200), (100_000, 300))).concat().contains("descriptors"));
    }
}
