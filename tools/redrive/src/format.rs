//! Formats ages and keys for a table.

use jiff::{SignedDuration, Timestamp};

/// Characters of a key that are printed: an order id fits.
const MAX_KEY_CHARS: usize = 44;

pub(crate) fn cut(text: &str) -> String {
    cut_to(MAX_KEY_CHARS, text)
}

pub(crate) fn cut_to(max_chars: usize, text: &str) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars.saturating_sub(1)).chain(['…']).collect()
}

pub(crate) fn ago(at_ms: Option<i64>, now: Timestamp) -> String {
    at_ms
        .and_then(|at_ms| age(at_ms, now))
        .map_or_else(|| "?".to_owned(), |age| format!("{} ago", in_words(age)))
}

/// The time since then; zero if the broker's clock is ahead.
pub(crate) fn age(at_ms: i64, now: Timestamp) -> Option<SignedDuration> {
    let at = Timestamp::from_millisecond(at_ms).ok()?;
    Some(now.duration_since(at).max(SignedDuration::ZERO))
}

pub(crate) fn in_words(age: SignedDuration) -> String {
    match age.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds @ 100..6_000 => format!("{} min", seconds / 60),
        seconds @ 6_000..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_printed_in_a_suitable_unit() {
        let ages = [0, 99, 100, 5_999, 6_000, 172_799, 172_800].map(SignedDuration::from_secs);
        assert_eq!(ages.map(in_words), ["0 s", "99 s", "1 min", "99 min", "1 h", "47 h", "2 days"]);
        let now = Timestamp::from_second(1_000).unwrap();
        assert_eq!(ago(Some(940_000), now), "60 s ago");
        // A broker's clock may be ahead.
        assert_eq!(ago(Some(1_060_000), now), "0 s ago");
        assert_eq!(ago(None, now), "?");
        assert_eq!(ago(Some(i64::MAX), now), "?");
    }

    #[test]
    fn long_keys_are_cut() {
        let order_id = "ord-0197f3c0-5b7a-7c3e-9d41-2f6c8a1b0e55";
        assert_eq!(cut(order_id), order_id);
        assert_eq!(cut(&"é".repeat(45)), format!("{}…", "é".repeat(43)));
    }
}
