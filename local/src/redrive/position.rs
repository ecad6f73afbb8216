//! How is the place of a record spelled? `order.created/0/17`: topic, partition, offset.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a record lies on the brokers. Positions of one partition sort by offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Position {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A text that is no position.
#[derive(Debug, thiserror::Error)]
#[error("give TOPIC/PARTITION/OFFSET as `cargo run -- redrive list` prints it")]
pub(crate) struct NoPosition;

impl Position {
    pub(crate) fn new(topic: &str, partition: i32, offset: i64) -> Self {
        Self { topic: topic.to_owned(), partition, offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        // No topic has a slash in its name.
        let mut parts = text.split('/');
        let (Some(topic), Some(partition), Some(offset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoPosition);
        };
        let partition = partition.parse().ok().filter(|partition| *partition >= 0);
        let offset = offset.parse().ok().filter(|offset| *offset >= 0);
        match (topic, partition, offset) {
            ("", _, _) => Err(NoPosition),
            (topic, Some(partition), Some(offset)) => Ok(Self::new(topic, partition, offset)),
            _ => Err(NoPosition),
        }
    }
}

impl TryFrom<String> for Position {
    type Error = NoPosition;

    fn try_from(text: String) -> Result<Self, NoPosition> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_printed() {
        let position = Position::new("order.inventory-reserved", 11, 4_000_000_000);
        assert_eq!(position.to_string(), "order.inventory-reserved/11/4000000000");
        assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["", "order.created", "order.created/0", "/0/1", "t/0/1/2", "t/-1/0", "t/0/x"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
