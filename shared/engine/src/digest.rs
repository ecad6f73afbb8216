//! A 128-bit content hash (truncated SHA-256).

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Takes the place of every text of a customer whose data was erased.
pub const ERASED: &str = "erased";

/// A 128-bit content hash (truncated SHA-256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Marks a row that was decided early, without the event of its stage.
    pub const NONE: Self = Self([0; 16]);

    /// Of the rows of an erased order. The digest of a payload would confirm a guess of it.
    #[must_use]
    pub fn erased() -> Self {
        Self::of(ERASED.as_bytes())
    }

    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(Sha256::digest(bytes)).for_each(|(to, from)| *to = from);
        Self(half)
    }

    /// Reads a digest; `None` unless there are 16 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
