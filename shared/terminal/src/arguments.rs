//! Parses command lines. An error is one line.

use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

#[derive(Debug)]
pub enum Parsed<C> {
    Run(C),
    /// Help or version text.
    Help(String),
}

#[derive(Debug, thiserror::Error)]
#[error("{message}; {program} --help lists all options")]
pub struct UsageError {
    message: String,
    program: &'static str,
}

impl UsageError {
    /// An error that clap cannot find.
    #[must_use]
    pub const fn new(message: String, program: &'static str) -> Self {
        Self { message, program }
    }
}

/// Parses the arguments, the program's name first. `program` is the command that starts it.
///
/// # Errors
/// The first error, without clap's usage text.
pub fn parse<C: Parser>(
    arguments: impl Iterator<Item = OsString>,
    program: &'static str,
) -> Result<Parsed<C>, UsageError> {
    match C::try_parse_from(arguments) {
        Ok(command) => Ok(Parsed::Run(command)),
        Err(error) if error.use_stderr() => Err(UsageError { message: message(&error), program }),
        Err(error) => Ok(Parsed::Help(error.to_string().trim_end().to_owned())),
    }
}

/// The error up to its first empty line, joined into one line, with clap's suggestion.
fn message(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    let message = line.strip_prefix("error: ").unwrap_or(&line).trim_end_matches(':');
    match suggestion(error) {
        Some(suggestion) => format!("{message} (did you mean '{suggestion}'?)"),
        None => message.to_owned(),
    }
}

/// The command, option or value that comes closest to an unknown one.
fn suggestion(error: &clap::Error) -> Option<&str> {
    let kinds =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    match kinds.into_iter().find_map(|kind| error.get(kind))? {
        ContextValue::String(suggestion) => Some(suggestion),
        // The closest one comes last.
        ContextValue::Strings(suggestions) => suggestions.last().map(String::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    enum Cli {
        List {
            #[arg(long, value_parser = ["created", "failed"])]
            topic: Option<String>,
        },
        Run,
    }

    fn error(arguments: &[&str]) -> String {
        let words = std::iter::once("test").chain(arguments.iter().copied());
        parse::<Cli>(words.map(OsString::from), "test").unwrap_err().to_string()
    }

    #[test]
    fn a_misspelled_word_gets_a_suggestion_in_one_line() {
        for (arguments, suggestion) in [
            (&["lst"][..], "list"),
            (&["list", "--topc", "failed"], "--topic"),
            (&["list", "--topic", "faild"], "failed"),
        ] {
            let error = error(arguments);
            assert!(error.contains(&format!("(did you mean '{suggestion}'?)")), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        assert!(!error(&["unlike-any"]).contains("did you mean"));
    }
}
