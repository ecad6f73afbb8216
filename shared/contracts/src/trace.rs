//! The W3C trace context that travels beside an event.

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A `traceparent` header of W3C Trace Context, version 00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Reads `00-<32 hex>-<16 hex>-<2 hex>`, lower case, neither id zero; other versions and
    /// anything else are not passed on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let is_valid = text.len() == LENGTH
            && parts.next() == Some("00")
            && parts.next().is_some_and(|id| is_hex(id, 32) && !is_zero(id))
            && parts.next().is_some_and(|id| is_hex(id, 16) && !is_zero(id))
            && parts.next().is_some_and(|flags| is_hex(flags, 2))
            && parts.next().is_none();
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_valid_traceparent_is_passed_on() {
        assert_eq!(TraceParent::parse(VALID).unwrap().as_str(), VALID);
        for invalid in [
            "",
            "00",
            &VALID.to_uppercase(),
            &VALID.replace("00-4", "ff-4"),
            &VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &format!("{VALID}-00"),
            &format!("{VALID}, {VALID}"),
            &"0".repeat(1024 * 1024),
        ] {
            assert_eq!(TraceParent::parse(invalid), None, "{invalid:.80}");
        }
    }
}
