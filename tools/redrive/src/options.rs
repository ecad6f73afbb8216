//! The options of `list` and `run`: the same for the command line and for the function's payload.

use std::num::NonZeroUsize;

use clap::Args;
use contracts::Topic;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::{
    position::Position,
    selection::{Filter, Selection},
    since::Since,
};

/// The redrives after which a record that comes back is refused.
const DEFAULT_MAX_RETURNS: u32 = 3;

const NO_SELECTION: &str = "nothing to redrive was given: give --all, --since, or positions such as \
     order.created/0/17, which list prints (in a payload: all, since, positions)";

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ListOptions {
    /// Only records of this topic
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    #[serde(deserialize_with = "topic_of_payload")]
    pub(crate) topic: Option<Topic>,
    /// Only records given up since then: 2026-11-01T00:00:00Z, or a span such as 2h or 3d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// At most so many records
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<NonZeroUsize>,
    /// Only records after this one, in the order of the list
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET")]
    pub(crate) after: Option<Position>,
}

#[derive(Debug, Clone, Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RunOptions {
    /// The records to redrive, as `redrive list` prints them
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    pub(crate) positions: Vec<Position>,
    /// Redrive every pending record
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all or --since: only records of this topic
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    #[serde(deserialize_with = "topic_of_payload")]
    pub(crate) topic: Option<Topic>,
    /// Every pending record given up since then: 2026-11-01T00:00:00Z, or a span such as 2h or 3d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// Publish at most so many records
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<NonZeroUsize>,
    /// Refuse a record that became a dead letter again after more than so many redrives
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_RETURNS)]
    pub(crate) max_returns: u32,
    /// Redrive a record however often it came back
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what would be redriven, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            positions: Vec::new(),
            all: false,
            topic: None,
            since: None,
            max: None,
            max_returns: DEFAULT_MAX_RETURNS,
            force: false,
            dry_run: false,
        }
    }
}

impl ListOptions {
    /// # Errors
    /// If `since` is in the future or out of range.
    pub(crate) fn filter(&self, now: Timestamp) -> Result<Filter, String> {
        let since_ms = since_ms(self.since.as_ref(), now)?;
        Ok(Filter { topic: self.topic, since_ms, after: self.after.clone() })
    }
}

impl RunOptions {
    /// # Errors
    /// If no record is selected, or the options contradict each other.
    pub(crate) fn selection(&self, now: Timestamp) -> Result<Selection, String> {
        let has_filter = self.all || self.since.is_some();
        if !self.positions.is_empty() {
            if has_filter || self.topic.is_some() {
                return Err("give either positions, or --all, --since and --topic".to_owned());
            }
            return Ok(Selection::Positions(self.positions.clone()));
        }
        if !has_filter {
            return Err(NO_SELECTION.to_owned());
        }
        let since_ms = since_ms(self.since.as_ref(), now)?;
        Ok(Selection::Matching(Filter { topic: self.topic, since_ms, after: None }))
    }

    /// `None`: any number.
    pub(crate) fn allowed_returns(&self) -> Option<u32> {
        (!self.force).then_some(self.max_returns)
    }
}

fn since_ms(since: Option<&Since>, now: Timestamp) -> Result<Option<i64>, String> {
    since.map(|since| since.at(now).map(Timestamp::as_millisecond)).transpose()
}

fn topic(name: &str) -> Result<Topic, String> {
    let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    Topic::from_name(name).ok_or_else(|| format!("give one of {}", names.join(", ")))
}

fn topic_of_payload<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Topic>, D::Error> {
    let name = Option::<String>::deserialize(json)?;
    let read = |name: String| topic(&name).map_err(|error| format!("topic {name:?}: {error}"));
    name.map(read).transpose().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn run(arguments: &[&str]) -> Result<RunOptions, clap::Error> {
        let words = ["redrive", "run", "--kafka", "b:1"].iter().chain(arguments);
        let Command::Run(run) = Arguments::try_parse_from(words)?.command else {
            panic!("{arguments:?}")
        };
        Ok(run.options)
    }

    fn selection(arguments: &[&str]) -> Result<Selection, String> {
        let options = run(arguments).map_err(|error| error.to_string())?;
        options.selection(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn nothing_is_redriven_unless_selected() {
        for arguments in [&[][..], &["--topic", "order.failed"], &["--dry-run"], &["--max", "3"]] {
            assert_eq!(selection(arguments), Err(NO_SELECTION.to_owned()));
        }
    }

    #[test]
    fn records_are_selected_together_or_by_position() {
        let all = |filter| Ok(Selection::Matching(filter));
        assert_eq!(selection(&["--all"]), all(Filter::default()));
        let failed = Filter { topic: Some(Topic::OrderFailed), ..Filter::default() };
        assert_eq!(selection(&["--all", "--topic", "order.failed"]), all(failed));
        let since = Filter { since_ms: Some(-7_200_000), ..Filter::default() };
        assert_eq!(selection(&["--since", "2h"]), all(since));
        let positions = ["order.created/0/17", "order.failed/2/0"];
        let selected = positions.map(|position| position.parse().unwrap()).to_vec();
        assert_eq!(selection(&positions), Ok(Selection::Positions(selected)));
    }

    #[test]
    fn a_contradictory_selection_is_rejected() {
        for wrong in [
            &["--all", "order.created/0/17"][..],
            &["--since", "2h", "order.created/0/17"],
            &["--topic", "order.created", "order.created/0/17"],
            &["--all", "--topic", "order.dead-letter"],
            &["--all", "--max", "0"],
            &["--since", "yesterday"],
            &["order.created"],
        ] {
            assert!(selection(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_payload_has_the_defaults_of_the_command_line() {
        let payload: RunOptions = serde_json::from_str(r#"{"all":true}"#).unwrap();
        assert_eq!(format!("{payload:?}"), format!("{:?}", run(&["--all"]).unwrap()));
    }
}
