//! A bounded list of errors: the first ones as text, the others as a count.

use std::fmt;

/// The most errors that a list names.
const MAX_LISTED: usize = 20;

/// A bounded list of errors.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errors {
    first: Vec<String>,
    more: usize,
}

impl Errors {
    pub(crate) fn one(text: &str) -> Self {
        Self { first: vec![text.to_owned()], more: 0 }
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    pub fn push(&mut self, error: String) {
        if self.first.len() < MAX_LISTED {
            self.first.push(error);
        } else {
            self.more += 1;
        }
    }

    pub fn extend(&mut self, other: Self) {
        other.first.into_iter().for_each(|error| self.push(error));
        self.more += other.more;
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.first.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}
