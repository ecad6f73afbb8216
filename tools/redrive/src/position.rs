//! Positions of records, written as `TOPIC/PARTITION/OFFSET`: `order.created/0/17`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Positions of one partition sort by offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Position {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("give TOPIC/PARTITION/OFFSET, as list prints it")]
pub(crate) struct InvalidPosition;

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
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        // Topic names cannot contain a slash.
        let mut parts = text.split('/');
        let (Some(topic), Some(partition), Some(offset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPosition);
        };
        let partition = partition.parse().ok().filter(|partition| *partition >= 0);
        let offset = offset.parse().ok().filter(|offset| *offset >= 0);
        match (topic, partition, offset) {
            ("", _, _) => Err(InvalidPosition),
            (topic, Some(partition), Some(offset)) => Ok(Self::new(topic, partition, offset)),
            _ => Err(InvalidPosition),
        }
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, InvalidPosition> {
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
    fn an_invalid_position_is_rejected() {
        for text in ["", "order.created", "order.created/0", "/0/1", "t/0/1/2", "t/-1/0", "t/0/x"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
