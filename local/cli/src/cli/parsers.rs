//! Parsers of option values. Every error names a valid value.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use secrecy::SecretString;
use terminal::grouped;

/// Parses `NAME=VALUE`, or `NAME` alone for the value in this program's environment, so that a
/// secret is not on a command line. Its errors do not have the value, as those of clap would.
#[derive(Clone)]
pub(crate) struct VariableParser;

impl TypedValueParser for VariableParser {
    type Value = (String, SecretString);

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, Error> {
        variable(&value.to_string_lossy()).map_err(|error| {
            let kind = ErrorKind::ValueValidation;
            Error::raw(kind, format!("invalid value for '--env': {error}\n")).with_cmd(command)
        })
    }
}

fn variable(text: &str) -> Result<(String, SecretString), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("use NAME=VALUE, such as PAYMENT_PROVIDER=stripe".to_owned());
    }
    let value = value.or_else(|| env::var(name).ok());
    let value = value.ok_or_else(|| format!("{name} is not set (set it, or use {name}=VALUE)"))?;
    Ok((name.to_owned(), value.into()))
}

pub(crate) fn orders(text: &str) -> Result<u64, String> {
    whole_number(text, 10_000_000)
}

pub(crate) fn processes(text: &str) -> Result<usize, String> {
    let number = whole_number(text, 1_000)?;
    usize::try_from(number).map_err(|error| error.to_string())
}

pub(crate) fn minutes(text: &str) -> Result<u64, String> {
    whole_number(text, 24 * 60)
}

pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    whole_number(text, 24 * 60 * 60)
}

pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    whole_number(text, 60 * 60 * 1_000)
}

pub(crate) fn orders_per_second(text: &str) -> Result<u32, String> {
    let number = whole_number(text, 1_000)?;
    u32::try_from(number).map_err(|error| error.to_string())
}

fn whole_number(text: &str, most: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("use a whole number from 1 to {}", grouped(most)))
}

pub(crate) fn url(text: &str) -> Result<String, String> {
    let usable = text.starts_with("http://") || text.starts_with("https://");
    usable.then(|| text.to_owned()).ok_or_else(|| "use a URL, such as http://localhost:8000".into())
}

/// A folder, which may be missing yet.
pub(crate) fn folder(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.is_dir() || !path.exists() {
        true => Ok(path),
        false => Err("it is not a folder (use a folder; a missing one is created)"),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_variable_has_a_value_or_takes_it_from_the_environment() {
        let read = |text| {
            let variable = variable(text).map_err(|_| ())?;
            Ok::<_, ()>((variable.0, variable.1.expose_secret().to_owned()))
        };
        assert_eq!(read("CURRENCY=EUR"), Ok(("CURRENCY".into(), "EUR".into())));
        assert_eq!(read("EMPTY=a=b"), Ok(("EMPTY".into(), "a=b".into())));
        assert_eq!(read("PATH").unwrap().1, env::var("PATH").unwrap());
        for wrong in ["NOBODY_SETS_THIS", "=x", "A B=x", ""] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
