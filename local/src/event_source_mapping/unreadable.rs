//! The partitions that cannot be read just now, and why.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// By partition, the reason; empty while everything is read.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<BTreeMap<i32, String>>);

impl Unreadable {
    pub(super) fn snapshot(&self) -> BTreeMap<i32, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes why a partition cannot be read; returns whether that is new.
    pub(super) fn insert(&self, partition: i32, reason: &str) -> bool {
        let mut unreadable = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.insert(partition, reason.to_owned()).is_none_or(|before| before != reason)
    }

    /// A record of the partition was read; returns whether that is new.
    pub(super) fn remove(&self, partition: i32) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition).is_some()
    }
}

/// What an error of a partition means to a person.
pub(super) fn reason(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::NotImplemented) => {
            "its next batch has a codec or a format that the client does not know".to_owned()
        }
        Some(RDKafkaErrorCode::BadCompression) => {
            "its next batch cannot be decompressed".to_owned()
        }
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}
