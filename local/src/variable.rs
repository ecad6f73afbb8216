//! Which variable is a function to be told, and what of it comes from this program's environment?

use std::env;

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
