//! A nesting limit below the 128 levels at which many JSON parsers stop.

/// The deepest nesting of an order's payload.
///
/// Many JSON parsers stop at 128 levels, and a failure event wraps the payload twice.
pub const MAX_NESTING: usize = 100;

/// The deepest nesting of a whole event: the envelope, a failure's payload, the original payload.
pub(crate) const MAX_EVENT_NESTING: usize = MAX_NESTING + 2;

/// Counts over the bytes, because [`crate::Object`] does not parse nested values.
#[must_use]
pub fn is_nested_deeper(json: &str, limit: usize) -> bool {
    // Few texts have that many brackets; this count runs 16 bytes at a time.
    let brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    brackets > limit && nesting(json) > limit
}

/// The maximum depth of lists and objects.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut bytes) = (0_usize, 0, json.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Advances past the closing quote.
fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

/// Removes the white space between tokens.
#[must_use]
pub fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut is_in_string = false;
    let mut is_escaped = false;
    compact.extend(json.chars().filter(|character| {
        if is_in_string {
            is_in_string = is_escaped || *character != '"';
            is_escaped = !is_escaped && *character == '\\';
            return true;
        }
        is_in_string = *character == '"';
        !matches!(character, ' ' | '\t' | '\n' | '\r')
    }));
    compact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_outside_of_strings() {
        assert_eq!(nesting("7"), 0);
        assert_eq!(nesting(r#"{"a":[{"b":"[[\"{{"}],"c":[]}"#), 3);
        assert_eq!(nesting(&"[".repeat(100_000)), 100_000);
        assert!(!is_nested_deeper("[[[]],[],[]]", 3));
        assert!(is_nested_deeper("[[[]],[],[]]", 2));
    }

    #[test]
    fn white_space_goes_and_strings_stay() {
        let json = "{ \"a b\\\" c\" :\t[ 1 ,\r\n\"x\\\\\" , \" \" ] }";
        assert_eq!(compact(json), r#"{"a b\" c":[1,"x\\"," "]}"#);
    }
}
