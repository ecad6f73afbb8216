//! Receives the body of a request: at most so many bytes, in at most so much time.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Limit for a body, from its first byte to its last.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A smaller body waits for no other; the connections bound how many there are.
const SMALL_BYTES: usize = 64 * 1024;
/// KiB of all larger bodies that are being received; others wait, within the time limit.
const MAX_RECEIVING_KIB: usize = 64 * 1024;

static RECEIVING: Semaphore = Semaphore::const_new(MAX_RECEIVING_KIB);

/// Why a body was not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    TooLarge,
    /// A chunk is not valid HTTP.
    Malformed,
    /// Slow, or cut off.
    Incomplete,
}

/// Receives a body of at most `limit` bytes.
///
/// # Errors
/// [`BodyError`] if it is longer, malformed, or does not arrive within 10 seconds.
pub async fn receive(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let size = body.size_hint();
    let is_within = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= limit);
    if !is_within(size.lower()) {
        return Err(BodyError::TooLarge);
    }
    // A body without a length may have any.
    let bytes = size.upper().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit);
    let kib = u32::try_from(bytes.min(limit).div_ceil(1024)).unwrap_or(u32::MAX);
    let received = timeout(TIMEOUT, async {
        // Fails only if the semaphore is closed, which it never is.
        let _permit = match bytes {
            0..=SMALL_BYTES => None,
            _ => RECEIVING.acquire_many(kib).await.ok(),
        };
        to_bytes(body, limit).await.map_err(|error| body_error(&error))
    });
    received.await.unwrap_or(Err(BodyError::Incomplete))
}

fn body_error(error: &axum::Error) -> BodyError {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let is_malformed = |cause: &io::Error| {
        matches!(cause.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput)
    };
    let kind = causes.find_map(|cause| {
        let too_large = cause.is::<http_body_util::LengthLimitError>();
        let malformed = cause.downcast_ref::<io::Error>().is_some_and(is_malformed);
        too_large.then_some(BodyError::TooLarge).or(malformed.then_some(BodyError::Malformed))
    });
    kind.unwrap_or(BodyError::Incomplete)
}
