//! Text that ends a line, moves a cursor or turns the direction of writing.

use workflow_tests::{api::Response, captured::Captured};

/// Marks an injected header or log line, wherever it comes out.
pub(crate) const MARK: &str = "X-Injected";

/// A text for each class of character, with what it would add.
pub(crate) fn hostile_texts() -> Vec<String> {
    let characters = [
        "\r\n",
        "\n",
        "\r",
        "\u{0}",
        "\u{8}",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "\u{9b}2J",
        "\u{202e}",
        "\u{2028}",
        "\u{2029}",
        "\u{2066}",
        "\u{feff}",
    ];
    characters.iter().map(|it| format!("a{it}{MARK}: 1{it}{it}{{\"level\":\"ERROR\"}}")).collect()
}

/// Every header is one line of printable text, and no header is of the attacker.
pub(crate) fn assert_plain_headers(response: &Response) {
    for (name, value) in response.headers.as_object().unwrap() {
        let value = value.as_str().unwrap();
        assert!(!name.contains(MARK) && is_one_line(name), "{response:?}");
        assert!(is_one_line(value), "{response:?}");
    }
}

pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Every line of the log is one JSON object without a raw control character, written by the
/// functions themselves.
pub(crate) fn assert_plain_log(log: &Captured) {
    let text = log.text();
    for line in text.lines() {
        assert!(is_one_line(line), "{line:?}");
        let line: serde_json::Value = serde_json::from_str(line).expect("one JSON object a line");
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    }
}
