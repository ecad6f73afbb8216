//! A strict parser of RFC 3339 times.
//!
//! Libraries accept more (a zone in brackets, a comma, an offset of hours only) and less (leap
//! seconds, long fractions), and a consumer's library may differ from ours.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// Reads an RFC 3339 time.
///
/// A leap second counts as the second before it, digits behind the nanoseconds are dropped, and the
/// last two days of 9999 count as the last instant that a [`Timestamp`] holds.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.as_bytes().split_first_chunk()?;
    #[rustfmt::skip]
    let &[
        y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't',
        h1, h2, b':', mi1, mi2, b':', s1, s2,
    ] = date_time else { return None };
    let (nanosecond, rest) = fraction(rest)?;
    let offset_minutes = offset_minutes(rest)?;
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    let (hour, minute, second) = (two(h1, h2)?, two(mi1, mi2)?, two(s1, s2)?);
    let minute_of_day = i32::from(hour) * 60 + i32::from(minute);
    let is_leap = second == 60;
    if is_leap && (minute_of_day - offset_minutes).rem_euclid(24 * 60) != 24 * 60 - 1 {
        return None;
    }
    let second = if is_leap { 59 } else { second };
    let (month, day) = (two(mo1, mo2)?, two(d1, d2)?);
    let local = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let offset = Offset::from_seconds(offset_minutes * 60).ok()?;
    Some(offset.to_timestamp(local).unwrap_or(Timestamp::MAX))
}

/// Nanoseconds, and the text after the fraction.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = text.split_at_checked(digits).filter(|_| digits > 0)?;
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let nanosecond = padded.take(9).fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    Some((nanosecond, rest))
}

fn offset_minutes(text: &[u8]) -> Option<i32> {
    let &[sign, h1, h2, b':', m1, m2] = text else {
        return matches!(text, b"Z" | b"z").then_some(0);
    };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    let minutes =
        (hours < 24 && minutes < 60).then(|| i32::from(hours) * 60 + i32::from(minutes))?;
    match sign {
        b'+' => Some(minutes),
        b'-' => Some(-minutes),
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
    i8::try_from(digit(tens)? * 10 + digit(ones)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_rfc_3339_is_read() {
        for (text, read) in [
            ("2026-02-06T12:00:00Z", "2026-02-06T12:00:00Z"),
            ("2026-02-06t12:00:00z", "2026-02-06T12:00:00Z"),
            ("2026-02-06T12:00:00.5Z", "2026-02-06T12:00:00.5Z"),
            ("2026-02-06T12:00:00.123456789987654321Z", "2026-02-06T12:00:00.123456789Z"),
            ("2026-02-06T12:00:00+05:30", "2026-02-06T06:30:00Z"),
            ("2026-02-06T12:00:00-00:00", "2026-02-06T12:00:00Z"),
            ("2024-02-29T23:59:59-23:59", "2024-03-01T23:58:59Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("2017-01-01T05:29:60+05:30", "2016-12-31T23:59:59Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.999999999Z"),
        ] {
            assert_eq!(parse_rfc3339(text), Some(read.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn nothing_but_rfc_3339_is_read() {
        for text in [
            "",
            "2026-02-06",
            "2026-02-06T12:00:00",
            "2026-02-06T12:00Z",
            "2026-02-06 12:00:00Z",
            "2026-02-06T12:00:00+00:00[Europe/Paris]",
            "2026-02-06T12:00:00Z[UTC]",
            "2026-02-06T12:00:00,5Z",
            "2026-02-06T12:00:00.Z",
            "2026-02-06T12:00:00+01",
            "2026-02-06T12:00:00+0100",
            "2026-02-06T12:00:00+24:00",
            "2026-02-06T12:00:00+00:60",
            "2026-02-06T12:00:00+01:00:00",
            "2026-02-06T24:00:00Z",
            "2026-02-06T12:60:00Z",
            "2026-02-06T12:00:60Z",
            "2026-02-06T23:59:61Z",
            "2026-02-30T12:00:00Z",
            "2026-13-06T12:00:00Z",
            "2026-W06-5T12:00:00Z",
            "2026-037T12:00:00Z",
            "20260206T120000Z",
            "+002026-02-06T12:00:00Z",
            "-002026-02-06T12:00:00Z",
            " 2026-02-06T12:00:00Z",
            "2026-02-06T12:00:00Z ",
            "２026-02-06T12:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
