//! Parsers of option values. Every error names a valid value.

use std::env;

use terminal::grouped;

/// Reads `NAME=VALUE`, or `NAME` alone for the value in this program's environment, so that a
/// secret is not on a command line.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match env::var(text) {
            Ok(value) => (text, value),
            Err(_) => return Err(format!("{text} is not set (set it, or use {text}=VALUE)")),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("use NAME=VALUE, such as PAYMENT_PROVIDER=stripe".to_owned());
    }
    Ok((name.to_owned(), value))
}

pub(crate) fn orders(text: &str) -> Result<u64, String> {
    whole_number(text, 10_000_000)
}

pub(crate) fn processes(text: &str) -> Result<usize, String> {
    let number = whole_number(text, 1_000)?;
    usize::try_from(number).map_err(|error| error.to_string())
}

fn whole_number(text: &str, most: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("use a whole number from 1 to {}", grouped(most)))
}

pub(crate) fn url(text: &str) -> Result<String, String> {
    let usable = text.starts_with("http://") || text.starts_with("https://");
    usable.then(|| text.to_owned()).ok_or_else(|| "use a URL, such as http://localhost:8000".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_value_or_takes_it_from_the_environment() {
        let read = |text| variable(text).map_err(|_| ());
        assert_eq!(read("CURRENCY=EUR"), Ok(("CURRENCY".into(), "EUR".into())));
        assert_eq!(read("EMPTY=a=b"), Ok(("EMPTY".into(), "a=b".into())));
        assert_eq!(read("PATH").unwrap().1, env::var("PATH").unwrap());
        for wrong in ["NOBODY_SETS_THIS", "=x", "A B=x", ""] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
