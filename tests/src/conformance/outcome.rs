//! The outcome of a case that runs in a task of its own, so that its panic fails no other case.

use std::{any::Any, time::Duration};

use tokio::time::timeout;

const CASE_TIMEOUT: Duration = Duration::from_secs(300);

/// Runs a case with a time limit.
///
/// # Errors
/// The message of its panic.
pub async fn outcome<T: Send + 'static>(
    case: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    match tokio::spawn(timeout(CASE_TIMEOUT, case)).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_elapsed)) => Err(format!("timed out after {} s", CASE_TIMEOUT.as_secs())),
        Err(error) => Err(error.try_into_panic().map_or_else(|it| it.to_string(), message)),
    }
}

fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => {
            other.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned())
        }
    }
}
