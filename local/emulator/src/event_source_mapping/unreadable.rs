//! The partitions that currently cannot be read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The reason by partition.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<BTreeMap<i32, String>>);

impl Unreadable {
    pub(super) fn snapshot(&self) -> BTreeMap<i32, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the reason is new.
    pub(super) fn insert(&self, partition: i32, reason: &str) -> bool {
        let mut unreadable = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.insert(partition, reason.to_owned()).is_none_or(|before| before != reason)
    }

    /// Returns whether the partition was unreadable.
    pub(super) fn remove(&self, partition: i32) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition).is_some()
    }
}

/// Describes an error of a partition.
pub(super) fn reason(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::NotImplemented) => {
            "the next batch has a codec or format that the client does not support".to_owned()
        }
        Some(RDKafkaErrorCode::BadCompression) => {
            "the next batch cannot be decompressed".to_owned()
        }
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}
