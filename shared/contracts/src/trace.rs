//! The W3C trace context that travels beside an event: `traceparent`, and `tracestate` with it.

/// The length of a `traceparent` of version 00.
const PARENT_LENGTH: usize = 55;

/// The most characters and members of a `tracestate`.
const MAX_STATE_LENGTH: usize = 512;
const MAX_STATE_MEMBERS: usize = 32;

/// The most characters of a member's key, and of its value.
const MAX_MEMBER_LENGTH: usize = 256;

/// The trace context of a request or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    parent: String,
    state: Option<String>,
}

impl TraceContext {
    /// Reads a `traceparent` of version 00 (`00-<32 hex>-<16 hex>-<2 hex>`, lower case, neither id
    /// zero), and the `tracestate` beside it; several headers are joined by commas.
    ///
    /// A malformed `tracestate` is dropped alone; a malformed `traceparent` drops both.
    #[must_use]
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let mut parts = parent.split('-');
        let is_valid = parent.len() == PARENT_LENGTH
            && parts.next() == Some("00")
            && parts.next().is_some_and(|id| is_hex(id, 32) && !is_zero(id))
            && parts.next().is_some_and(|id| is_hex(id, 16) && !is_zero(id))
            && parts.next().is_some_and(|flags| is_hex(flags, 2))
            && parts.next().is_none();
        is_valid.then(|| Self { parent: parent.to_owned(), state: state.and_then(parse_state) })
    }

    /// The context as record headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = self.state.as_deref().map(|state| ("tracestate", state));
        [("traceparent", self.parent.as_str())].into_iter().chain(state)
    }
}

/// A list of members, without white space and empty members; `None` if it is malformed or empty.
fn parse_state(text: &str) -> Option<String> {
    if text.len() > MAX_STATE_LENGTH {
        return None;
    }
    let members = text.split(',').map(|member| member.trim_matches([' ', '\t']));
    let mut known: Vec<(&str, &str)> = Vec::new();
    for member in members.filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=')?;
        let is_repeated = known.iter().any(|(other, _)| *other == key);
        if !is_key(key) || !is_value(value) || is_repeated || known.len() == MAX_STATE_MEMBERS {
            return None;
        }
        known.push((key, value));
    }
    let members: Vec<_> = known.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!members.is_empty()).then(|| members.join(","))
}

fn is_key(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_MEMBER_LENGTH).contains(&text.len())
        && text.bytes().next().is_some_and(is_alphanumeric)
        && text.bytes().all(|byte| is_alphanumeric(byte) || b"_-*/@".contains(&byte))
}

fn is_value(text: &str) -> bool {
    (1..=MAX_MEMBER_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
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

    /// The `tracestate` that is passed on.
    fn state(text: &str) -> Option<String> {
        TraceContext::parse(VALID, Some(text)).unwrap().state
    }

    #[test]
    fn only_a_valid_traceparent_is_passed_on() {
        let headers = |text| Some(TraceContext::parse(text, None)?.headers().next()?.1.to_owned());
        assert_eq!(headers(VALID).as_deref(), Some(VALID));
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
            assert_eq!(TraceContext::parse(invalid, Some("a=1")), None, "{invalid:.80}");
        }
    }

    #[test]
    fn a_valid_tracestate_travels_with_its_traceparent() {
        let context = TraceContext::parse(VALID, Some("foo=1, t@sys=a b;c ,,bar=")).unwrap();
        assert_eq!(context.headers().collect::<Vec<_>>(), [("traceparent", VALID)]);
        let context = TraceContext::parse(VALID, Some("foo=1, 7t@sys=a b;c ,,b/a_r-*=~")).unwrap();
        assert_eq!(
            context.headers().collect::<Vec<_>>(),
            [("traceparent", VALID), ("tracestate", "foo=1,7t@sys=a b;c,b/a_r-*=~")]
        );
    }

    #[test]
    fn a_malformed_or_oversized_tracestate_is_dropped() {
        let members = |count: usize| {
            let members: Vec<_> = (0..count).map(|number| format!("k{number}=v")).collect();
            members.join(",")
        };
        let padded =
            |length: usize| format!("a={},b={}", "x".repeat(256), "y".repeat(length - 261));
        assert_eq!(state(&members(32)), Some(members(32)));
        assert_eq!(state(&padded(512)), Some(padded(512)));
        for dropped in [
            "",
            " , ",
            "foo",
            "foo=",
            "=1",
            "Foo=1",
            "_foo=1",
            "foo=a=b",
            "foo=1,foo=2",
            "foo=\u{7f}",
            "foo=ü",
            "foo=1\n",
            &format!("foo={}", "x".repeat(257)),
            &members(33),
            &padded(513),
        ] {
            assert_eq!(state(dropped), None, "{dropped:.80}");
        }
    }
}
