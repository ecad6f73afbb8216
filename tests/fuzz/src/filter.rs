//! The emulator's filter of a mapping: a pattern of the template, then a record's value on the next
//! line.

use emulator::filter_criteria::FilterCriteria;

pub(crate) fn run(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (pattern, value) = input.split_at(end);
    let pattern = String::from_utf8_lossy(pattern);
    let Ok(filter) = FilterCriteria::parse(&[pattern.as_ref()]) else { return };
    let value = value.get(1..);
    assert_eq!(filter.matches(value), filter.matches(value), "the filter is not a function");
    assert_eq!(filter.matches(None), filter.matches(None));
}
