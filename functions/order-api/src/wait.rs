//! Waits for the end of an order, if the client prefers that (`Prefer: wait=N`, RFC 7240).

use std::time::Duration;

use contracts::StageName;
use engine::RowKey;
use runtime::Environment;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    request::Request,
    routes::{OrderApi, READ_TIMEOUT},
};

/// The longest wait that can be configured.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// The most concurrent waits of one process. A process in Lambda has one request at a time, unless
/// its runtime allows several.
pub const MAX_WAITS: usize = 8;

/// The timeout for a whole response, below the 30 seconds of API Gateway.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(29);

/// The pause between two polls grows from the first to the longest: most orders take well below a
/// second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Limits the number and the length of the waits of a process.
#[derive(Debug)]
pub struct Waits {
    max_seconds: u64,
    permits: Semaphore,
}

impl Waits {
    /// Waits of at most this many seconds each.
    #[must_use]
    pub fn new(max_seconds: u32) -> Self {
        Self { max_seconds: max_seconds.into(), permits: Semaphore::new(MAX_WAITS) }
    }

    pub(crate) fn read(environment: &mut Environment) -> Self {
        let max = u32::try_from(MAX_WAIT.as_secs()).unwrap_or_default();
        Self::new(environment.whole_number("MAX_WAIT_SECONDS", "5", 0..=max))
    }

    /// The seconds that the client prefers to wait, capped; `None` if its preference is missing or
    /// malformed.
    pub(crate) fn preferred(&self, prefer: Option<&str>) -> Option<u64> {
        let preferences = prefer?.split(',').map(|preference| {
            // Parameters follow a semicolon; this preference has none.
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            (name.trim(), value.trim())
        });
        // The first of several counts.
        let mut preferences = preferences.into_iter();
        let (_, value) = preferences.find(|(name, _)| name.eq_ignore_ascii_case("wait"))?;
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let digits = quoted.unwrap_or(value);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too large to parse is above the maximum.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX).min(self.max_seconds))
    }
}

impl OrderApi {
    /// Waits until the order has ended, or for as many of these seconds as can be granted; returns
    /// the granted seconds.
    pub(crate) async fn wait_for_end(
        &self,
        request: &Request,
        order_id: &str,
        seconds: u64,
    ) -> u64 {
        // Without a permit the response is immediate, and the client polls.
        let Ok(_permit) = self.waits.permits.try_acquire() else { return 0 };
        let seconds = seconds.min(self.time_for_waiting(request).as_secs());
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut pause = FIRST_PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return seconds;
            }
            sleep(pause.min(left)).await;
            // An error is left to the next poll, and at last to reading the status.
            let key = RowKey { id: order_id.to_owned(), stage: StageName::Close };
            if self.context.orders.get_all(&[key]).await.is_ok_and(|found| !found.is_empty()) {
                return seconds;
            }
            pause = (pause * 3 / 2).min(MAX_PAUSE);
        }
    }

    /// The time until the response timeout, less that for reading the status once more.
    fn time_for_waiting(&self, request: &Request) -> Duration {
        let elapsed = request.received_at().map(|at| (self.context.clock)().duration_since(at));
        // A request from the future, or older than the timeout, means that clocks differ.
        let elapsed = elapsed.and_then(|elapsed| Duration::try_from(elapsed).ok());
        let elapsed = elapsed.filter(|elapsed| *elapsed <= RESPONSE_TIMEOUT).unwrap_or_default();
        RESPONSE_TIMEOUT.saturating_sub(READ_TIMEOUT + elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_where_it_is_well_formed_and_capped() {
        let waits = Waits::new(20);
        for (prefer, wait) in [
            ("wait=7", Some(7)),
            ("respond-async, Wait = 7", Some(7)),
            ("wait=\"7\"; foo=bar", Some(7)),
            ("wait=0", Some(0)),
            ("wait=21", Some(20)),
            ("wait=99999999999999999999999", Some(20)),
            ("wait=5, wait=9", Some(5)),
            ("wait=soon, wait=9", None),
            ("wait", None),
            ("wait=", None),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("waiting=3", None),
            ("", None),
        ] {
            assert_eq!(waits.preferred(Some(prefer)), wait, "{prefer}");
        }
        assert_eq!(waits.preferred(None), None);
        assert_eq!(Waits::new(0).preferred(Some("wait=7")), Some(0));
    }
}
