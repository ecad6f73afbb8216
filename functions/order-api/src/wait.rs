//! Waits for an order's end, where the client prefers that (`Prefer: wait=N`, RFC 7240).

use std::time::Duration;

use contracts::StageName;
use engine::RowKey;
use tokio::time::{Instant, sleep};

use crate::routes::OrderApi;

/// The longest wait: with the time for reading it stays below the 30 that API Gateway
/// waits. Who asks for more gets this.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// The pauses between two looks grow from the first to the longest: an order takes well below a
/// second, and one that does not is not hurried by being looked at.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// For how many seconds the client wants to wait, capped; `None` where it says nothing readable.
pub(crate) fn preferred_wait(prefer: Option<&str>) -> Option<u64> {
    let preferences = prefer?.split(',').map(|preference| {
        // What stands behind a semicolon are parameters, of which this preference has none.
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        (name.trim(), value.trim())
    });
    // Of several, the first one counts.
    let (_, value) = preferences.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("wait"))?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let digits = quoted.unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large to read is larger than the longest wait.
    is_number
        .then(|| digits.parse().map_or(MAX_WAIT.as_secs(), |it: u64| it.min(MAX_WAIT.as_secs())))
}

impl OrderApi {
    /// Returns once the order has ended, or the time is up.
    pub(crate) async fn wait_for_end(&self, order_id: &str, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut pause = FIRST_PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            sleep(pause.min(left)).await;
            // Trouble with one look is left to the next, and at last to reading the status.
            let key = RowKey { id: order_id.to_owned(), stage: StageName::Close };
            if self.context.orders.get_all(&[key]).await.is_ok_and(|found| !found.is_empty()) {
                return;
            }
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_where_it_is_well_formed_and_capped() {
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
            assert_eq!(preferred_wait(Some(prefer)), wait, "{prefer}");
        }
        assert_eq!(preferred_wait(None), None);
    }
}
