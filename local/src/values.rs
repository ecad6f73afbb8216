//! What may stand behind an option? Every refusal says what to give instead.

use std::env;

use crate::readable::grouped;

/// Reads `NAME=VALUE`, or `NAME` alone for the value that this program was started with: so a key
/// stands on no command line.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match env::var(text) {
            Ok(value) => (text, value),
            Err(_) => return Err(format!("{text} is not set; set it, or give {text}=VALUE")),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("give NAME=VALUE, such as PAYMENT_PROVIDER=stripe".to_owned());
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
    number.ok_or_else(|| format!("give a whole number from 1 to {}", grouped(most)))
}

/// A list of brokers, refused where it is blank.
pub(crate) fn brokers(text: &str) -> Result<String, String> {
    let filled = !text.trim().is_empty();
    filled.then(|| text.to_owned()).ok_or_else(|| "give host:port, such as localhost:9092".into())
}

pub(crate) fn url(text: &str) -> Result<String, String> {
    let usable = text.starts_with("http://") || text.starts_with("https://");
    usable
        .then(|| text.to_owned())
        .ok_or_else(|| "give a URL, such as http://localhost:8000".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_given_whole_or_taken_from_the_environment() {
        let read = |text| variable(text).map_err(|_| ());
        assert_eq!(read("CURRENCY=EUR"), Ok(("CURRENCY".into(), "EUR".into())));
        assert_eq!(read("EMPTY=a=b"), Ok(("EMPTY".into(), "a=b".into())));
        assert_eq!(read("PATH").unwrap().1, env::var("PATH").unwrap());
        for wrong in ["NOBODY_SETS_THIS", "=x", "A B=x", ""] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
