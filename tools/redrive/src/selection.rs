//! Selects dead letters by filter or by position.

use contracts::Topic;

use crate::{dead_letter::DeadLetter, position::Position};

/// The records to redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    Matching(Filter),
    Positions(Vec<Position>),
}

/// All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) topic: Option<Topic>,
    /// The earliest time at which a record was given up, in milliseconds since the epoch.
    pub(crate) since_ms: Option<i64>,
    /// Excluded, with everything before it.
    pub(crate) after: Option<Position>,
}

impl Filter {
    pub(crate) fn matches(&self, dead_letter: &DeadLetter) -> bool {
        let position = dead_letter.position();
        self.topic.is_none_or(|topic| dead_letter.topic() == Some(topic))
            // A message without a timestamp cannot be excluded.
            && self.since_ms.is_none_or(|since| dead_letter.given_up_ms.is_none_or(|at| at >= since))
            && self.after.as_ref().is_none_or(|after| position > after)
    }
}

impl Selection {
    /// Returns the selected dead letters.
    ///
    /// # Errors
    /// If a position has no dead letter, so that a typing error is found before anything is
    /// written.
    pub(crate) fn of(&self, mut dead_letters: Vec<DeadLetter>) -> Result<Vec<DeadLetter>, String> {
        match self {
            Self::Matching(filter) => dead_letters.retain(|it| filter.matches(it)),
            Self::Positions(positions) => {
                dead_letters.retain(|it| positions.contains(it.position()));
                let is_missing = |position: &&Position| {
                    !dead_letters.iter().any(|it| it.position() == *position)
                };
                if let Some(position) = positions.iter().find(is_missing) {
                    let text =
                        format!("no dead letter for {position} (list prints their positions)");
                    return Err(text);
                }
            }
        }
        Ok(dead_letters)
    }
}
