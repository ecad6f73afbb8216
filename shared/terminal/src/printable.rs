//! Makes foreign text safe to print on a terminal.

/// Replaces control characters (line breaks and C1 included), line separators and bidirectional
/// marks with U+FFFD.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|letter| if is_plain(letter) { letter } else { '\u{fffd}' }).collect()
}

/// The first `max` bytes of a line, [`printable`], and the number of those that are left out.
#[must_use]
pub fn printable_start(line: &[u8], max: usize) -> String {
    let (shown, rest) = line.split_at(line.len().min(max));
    let text = String::from_utf8_lossy(shown);
    let text = printable(text.trim_end_matches(['\r', '\n']));
    match rest.len() {
        0 => text,
        more => format!("{text}… ({more} bytes more)"),
    }
}

fn is_plain(letter: char) -> bool {
    let is_separator = matches!(letter, '\u{2028}' | '\u{2029}');
    // Unicode's property Bidi_Control.
    let is_direction = matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !letter.is_control() && !is_separator && !is_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_everything_else_is_replaced() {
        let plain = "ord-1: Müller ☕ 日本 \u{5d0}\u{301} 👩\u{200d}👧 $^\\";
        assert_eq!(printable(plain), plain);
        for letter in "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{9c}\u{9f}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}".chars() {
            assert_eq!(printable(&format!("a{letter}b")), "a\u{fffd}b", "{letter:?}");
        }
    }
}
