//! Medians, percentiles and spreads in whole numbers.

use serde_json::{Value, json};
use terminal::grouped;

/// The results of one measurement in all rounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spread(Vec<u64>);

impl Spread {
    pub(crate) fn push(&mut self, value: u64) {
        let at = self.0.partition_point(|&other| other <= value);
        self.0.insert(at, value);
    }

    pub(crate) fn median(&self) -> u64 {
        let middle = self.0.len() / 2;
        let upper = self.0.get(middle).copied().unwrap_or_default();
        match self.0.len().is_multiple_of(2) {
            true => self.0.get(middle.wrapping_sub(1)).map_or(upper, |lower| lower.midpoint(upper)),
            false => upper,
        }
    }

    pub(crate) fn min(&self) -> u64 {
        self.0.first().copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.last().copied().unwrap_or_default()
    }

    /// `median (min..max)`, each value written by `format`.
    pub(crate) fn display(&self, format: fn(u64) -> String) -> String {
        if self.0.is_empty() {
            return "-".to_owned();
        }
        format!("{} ({}..{})", format(self.median()), format(self.min()), format(self.max()))
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "median": self.median(), "min": self.min(), "max": self.max(), "runs": self.0 })
    }
}

/// The nearest-rank percentile of sorted values; 0 without values.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Microseconds as milliseconds with two decimals.
pub(crate) fn milliseconds(microseconds: u64) -> String {
    hundredths(microseconds.saturating_add(5) / 10)
}

/// Kilobytes as megabytes with one decimal.
pub(crate) fn megabytes(kilobytes: u64) -> String {
    format!("{}.{}", kilobytes / 1024, kilobytes % 1024 * 10 / 1024)
}

/// A number of hundredths with two decimals.
pub(crate) fn hundredths(number: u64) -> String {
    format!("{}.{:02}", grouped(number / 100), number % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_spread_its_ends() {
        let mut spread = Spread::default();
        for value in [9_000, 7_000, 12_345] {
            spread.push(value);
        }
        assert_eq!(spread.display(grouped), "9,000 (7,000..12,345)");
        spread.push(10_000);
        assert_eq!(spread.median(), 9_500);
        assert_eq!(
            (Spread::default().display(grouped), Spread::default().median()),
            ("-".to_owned(), 0)
        );
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (50, 99));
        assert_eq!((percentile(&[4, 8], 50), percentile(&[4, 8], 99)), (4, 8));
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
        assert_eq!(milliseconds(1_234), "1.23");
        assert_eq!(milliseconds(5), "0.01");
        assert_eq!(megabytes(1_536), "1.5");
        assert_eq!(hundredths(205), "2.05");
    }
}
