//! The file of expected instructions per record, and the comparison with it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use terminal::grouped;

/// Tolerance above the baseline: counts vary a little with the compiler, valgrind and C library.
const MARGIN_PERCENT: u64 = 10;
/// Tolerance below the baseline: a larger gain would hide a later loss.
const GAIN_PERCENT: u64 = 20;
/// Figures are rounded to this, so that an update leaves unchanged figures alone.
const ROUNDING: u64 = 100;
const ARCHITECTURE: &str = std::env::consts::ARCH;
/// The command that makes this run's figures the baseline.
pub(crate) const UPDATE_COMMAND: &str =
    "cargo run --profile profiling --bin bench -- instructions --update";

/// Instructions per record by stage.
pub(crate) type Figures = BTreeMap<String, u64>;

/// The baseline file: figures of each architecture.
pub(crate) struct Baseline {
    path: PathBuf,
    architectures: BTreeMap<String, Figures>,
}

impl Baseline {
    /// Reads the file; a missing file is an empty baseline.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let failed = || {
            let path = path.display();
            format!(
                "cannot read the baseline {path} (restore it, or delete it and {UPDATE_COMMAND})"
            )
        };
        let architectures = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).context(failed())?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).context(failed()),
        };
        Ok(Self { path: path.to_owned(), architectures })
    }

    /// The expected figures on this architecture.
    pub(crate) fn figures(&self) -> Option<&Figures> {
        self.architectures.get(ARCHITECTURE)
    }

    /// Replaces the figures of this architecture.
    pub(crate) fn write(&mut self, figures: &Figures) -> Result<()> {
        let round = |figure: u64| figure.saturating_add(ROUNDING / 2) / ROUNDING * ROUNDING;
        let figures = figures.iter().map(|(stage, figure)| (stage.clone(), round(*figure)));
        self.architectures.insert(ARCHITECTURE.to_owned(), figures.collect());
        let failed = || format!("cannot write the baseline {}", self.path.display());
        let text = serde_json::to_string_pretty(&self.architectures).context(failed())?;
        std::fs::write(&self.path, format!("{text}\n")).context(failed())
    }
}

/// The error text of a figure outside the tolerances; `None` within them.
pub(crate) fn violation(
    stage: &str,
    figure: u64,
    expected: Option<u64>,
    profile: &Path,
) -> Option<String> {
    let counted = grouped(figure);
    let Some(expected) = expected else {
        return Some(format!(
            "{stage}: {counted} instructions per record, without a baseline (add it: {UPDATE_COMMAND})"
        ));
    };
    let baseline = grouped(expected);
    let percent = change_percent(figure, expected);
    let hundredfold = figure.saturating_mul(100);
    if hundredfold > expected.saturating_mul(100 + MARGIN_PERCENT) {
        return Some(format!(
            "{stage}: {counted} instructions per record, {percent} against the baseline of \
             {baseline}: +{MARGIN_PERCENT} % are allowed (see what takes them: callgrind_annotate {} \
             | head -60; if it is worth them: {UPDATE_COMMAND})",
            profile.display()
        ));
    }
    if hundredfold < expected.saturating_mul(100 - GAIN_PERCENT) {
        return Some(format!(
            "{stage}: {counted} instructions per record, {percent} against the baseline of \
             {baseline}: a later loss of as much would pass (lower the baseline: {UPDATE_COMMAND})"
        ));
    }
    None
}

/// `+12 %` or `-3 %`.
pub(crate) fn change_percent(figure: u64, expected: u64) -> String {
    let sign = if figure < expected { '-' } else { '+' };
    let difference = figure.abs_diff(expected).saturating_mul(100);
    format!("{sign}{} %", (difference + expected / 2) / expected.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_of(figure: u64) -> Option<String> {
        violation("validator", figure, Some(1_000), Path::new("target/validator.out"))
    }

    #[test]
    fn a_figure_within_the_margins_is_accepted() {
        for figure in [800, 1_000, 1_100] {
            assert_eq!(violation_of(figure), None);
        }
    }

    #[test]
    fn a_stage_that_takes_more_is_reported_with_the_commands_to_explain_and_to_accept_it() {
        let message = violation_of(1_101).unwrap();
        let expected = [
            "validator: 1,101",
            "+10 %",
            "1,000",
            "callgrind_annotate target/validator.out",
            UPDATE_COMMAND,
        ];
        for part in expected {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_stage_that_takes_far_less_needs_a_lower_baseline() {
        let message = violation_of(799).unwrap();
        assert!(message.contains("-20 %") && message.contains("lower the baseline"), "{message}");
    }

    #[test]
    fn a_stage_without_a_baseline_needs_one() {
        let message = violation("validator", 7, None, Path::new("x")).unwrap();
        assert!(message.contains("without a baseline"), "{message}");
    }

    #[test]
    fn an_update_rounds_and_keeps_other_architectures() {
        let path = std::env::temp_dir().join(format!("baseline-{}.json", std::process::id()));
        std::fs::write(&path, r#"{ "other": { "validator": 7 } }"#).unwrap();
        let mut baseline = Baseline::read(&path).unwrap();
        assert!(baseline.figures().is_none());
        baseline.write(&Figures::from([("validator".to_owned(), 41_250)])).unwrap();
        let baseline = Baseline::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(baseline.figures().unwrap()["validator"], 41_300);
        assert_eq!(baseline.architectures["other"]["validator"], 7);
    }
}
