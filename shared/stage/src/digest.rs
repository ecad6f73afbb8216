//! Tells one content from another, in few bytes.

use contracts::JsonObject;
use sha2::{Digest as _, Sha256};

/// Tells one content from another: the first half of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of a payload; white space does not count.
    #[must_use]
    pub fn of_payload(payload: &JsonObject) -> Self {
        // Writing a JSON object into memory cannot fail.
        Self::of_bytes(&serde_json::to_vec(payload).unwrap_or_default())
    }

    /// The digest of any bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(Sha256::digest(bytes)).for_each(|(to, from)| *to = from);
        Self(half)
    }

    /// The digest that these bytes are, if they are as many as one has.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes that it is kept as.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest as 32 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
