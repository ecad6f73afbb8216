//! Settings from environment variables, read once, with all errors reported together.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use jiff::SignedDuration;

use crate::traces;

/// Settings of every function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `host:port`, several separated by commas.
    pub kafka_bootstrap_servers: String,
    pub kafka_auth: KafkaAuth,
    /// A file of certificates to trust instead of the system's.
    pub kafka_ca_file: Option<String>,
    /// The prefix of this stack's topics; empty for the names of the contract.
    pub topic_prefix: String,
    /// The table of the stages' rows.
    pub orders_table: String,
    /// The lifetime of a row; longer than the retention of the topics.
    pub row_ttl: SignedDuration,
    /// Set if the mapping reads partial responses; otherwise a failed record fails the whole batch.
    pub reports_batch_item_failures: bool,
    /// The URL of the collector of traces; `None` switches traces off.
    pub otlp_endpoint: Option<String>,
}

/// Authentication to the brokers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KafkaAuth {
    /// With the function's role, over TLS: Amazon MSK.
    #[default]
    MskIam,
    /// None, in plaintext: brokers on this machine.
    None,
}

impl Settings {
    /// Reads the settings of every function.
    pub fn read(environment: &mut Environment) -> Self {
        let days = environment.whole_number("ROW_TTL_DAYS", "30", 1..=3_650);
        Self {
            kafka_bootstrap_servers: environment
                .required("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
            kafka_auth: environment.one_of(
                "KAFKA_SIGN_IN",
                &[("MSK_IAM", KafkaAuth::MskIam), ("NONE", KafkaAuth::None)],
            ),
            kafka_ca_file: environment.optional_text("KAFKA_CA_FILE"),
            topic_prefix: environment.optional_text("TOPIC_PREFIX").unwrap_or_default(),
            orders_table: environment.required("ORDERS_TABLE", "OrdersTable"),
            row_ttl: SignedDuration::from_hours(24 * i64::from(days)),
            reports_batch_item_failures: environment
                .flag("FUNCTION_RESPONSE_TYPES", "ReportBatchItemFailures"),
            otlp_endpoint: traces::read_endpoint(environment),
        }
    }
}

/// The variables of the process, the names that were read, and the errors.
pub struct Environment {
    variables: HashMap<String, String>,
    read: BTreeSet<String>,
    errors: Vec<String>,
}

impl fmt::Debug for Environment {
    /// Omits the variables, which include keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Environment").field("errors", &self.errors).finish_non_exhaustive()
    }
}

/// For a person who runs a function by itself, such as with `cargo run` in its folder.
const NOT_IN_LAMBDA: &str = "this is a Lambda function: `cargo run -p local` runs all of them here";

/// Every missing or malformed setting.
///
/// `Debug` has the same text, because a failing `main` prints that.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration errors:\n  {}", errors.join("\n  "))]
pub struct SettingsError {
    errors: Vec<String>,
}

impl fmt::Debug for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Environment {
    /// Variables by name; in a function, those of its process.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            read: BTreeSet::new(),
            errors: Vec::new(),
        }
    }

    /// The names of the variables that were read so far.
    #[must_use]
    pub const fn names_read(&self) -> &BTreeSet<String> {
        &self.read
    }

    fn value(&mut self, name: &str) -> Option<String> {
        self.read.insert(name.to_owned());
        self.variables.get(name).map(|value| value.trim().to_owned())
    }

    /// A required text; empty if it is missing, which [`Self::finish`] reports.
    pub fn required(&mut self, name: &str, example: &str) -> String {
        match self.value(name) {
            Some(value) if !value.is_empty() => value,
            _ => {
                self.errors.push(format!("{name} is not set; for example {name}={example}"));
                String::new()
            }
        }
    }

    /// A required whole number in a range; its start if it is missing or malformed.
    pub fn whole_number(
        &mut self,
        name: &str,
        example: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> u32 {
        let known_errors = self.errors.len();
        let text = self.required(name, example);
        match text.parse() {
            Ok(number) if range.contains(&number) => return number,
            _ if self.errors.len() > known_errors => {}
            _ => self.errors.push(format!(
                "{name} is {text:?}, but must be a whole number from {} to {}; \
                 for example {name}={example}",
                range.start(),
                range.end()
            )),
        }
        *range.start()
    }

    /// A required choice; the default if it is missing or unknown.
    pub fn one_of<T: Copy + Default>(&mut self, name: &str, choices: &[(&str, T)]) -> T {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let words = words.join(" or ");
        let text = self.value(name).unwrap_or_default();
        if let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) {
            return *meaning;
        }
        self.errors.push(match text.as_str() {
            "" => format!("{name} is not set; it must be {words}"),
            text => format!("{name} is {text:?}, but must be {words}"),
        });
        T::default()
    }

    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        let value = self.value(name);
        value.filter(|value| !value.is_empty())
    }

    /// An optional list, separated by commas; each text must pass the check.
    pub fn optional_list(
        &mut self,
        name: &str,
        example: &str,
        is_valid: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let list = self.optional_text(name).unwrap_or_default();
        let texts = list.split(',').map(str::trim).filter(|text| !text.is_empty());
        let (valid, invalid): (Vec<_>, Vec<_>) = texts.partition(|text| is_valid(text));
        self.errors.extend(
            invalid
                .iter()
                .map(|text| format!("{name} holds {text:?}; for example {name}={example}")),
        );
        valid.into_iter().map(str::to_owned).collect()
    }

    /// `true` if the variable is `word`, `false` if it is not set.
    pub fn flag(&mut self, name: &str, word: &str) -> bool {
        match self.value(name).unwrap_or_default() {
            value if value.is_empty() => false,
            value if value == word => true,
            value => {
                self.errors
                    .push(format!("{name} is {value:?}, but may only be {word} or left out"));
                false
            }
        }
    }

    /// Adds an error that concerns several variables.
    pub fn reject(&mut self, error: impl Into<String>) {
        self.errors.push(error.into());
    }

    /// Returns what was read, unless there were errors.
    ///
    /// # Errors
    /// Every error of every variable that was read.
    pub fn finish<T>(&self, read: T) -> Result<T, SettingsError> {
        if self.errors.is_empty() {
            Ok(read)
        } else {
            let mut errors = self.errors.clone();
            if !self.variables.contains_key("AWS_LAMBDA_RUNTIME_API") {
                errors.push(NOT_IN_LAMBDA.to_owned());
            }
            Err(SettingsError { errors })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn everything_that_is_missing_or_wrong_is_named_at_once() {
        let mut environment = environment(&[
            ("ROW_TTL_DAYS", "a month"),
            ("FUNCTION_RESPONSE_TYPES", "true"),
            ("ORDERS_TABLE", " "),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
        ]);
        let settings = Settings::read(&mut environment);
        assert_eq!(
            environment.finish(settings).unwrap_err().to_string(),
            "configuration errors:\n  \
             ROW_TTL_DAYS is \"a month\", but must be a whole number from 1 to 3650; for example ROW_TTL_DAYS=30\n  \
             KAFKA_BOOTSTRAP_SERVERS is not set; for example KAFKA_BOOTSTRAP_SERVERS=localhost:9092\n  \
             KAFKA_SIGN_IN is not set; it must be MSK_IAM or NONE\n  \
             ORDERS_TABLE is not set; for example ORDERS_TABLE=OrdersTable\n  \
             FUNCTION_RESPONSE_TYPES is \"true\", but may only be ReportBatchItemFailures or left out"
        );
    }

    #[test]
    fn a_list_may_be_left_out_and_each_of_its_texts_must_be_good() {
        let mut environment = environment(&[("EVEN", "2, 3,4,"), ("EMPTY", "")]);
        let is_even = |text: &str| text.ends_with(['2', '4']);
        assert_eq!(environment.optional_list("MISSING", "2", is_even), Vec::<String>::new());
        assert_eq!(environment.optional_list("EMPTY", "2", is_even), Vec::<String>::new());
        assert_eq!(environment.finish(()), Ok(()));
        assert_eq!(environment.optional_list("EVEN", "2", is_even), ["2", "4"]);
        let error = environment.finish(()).unwrap_err().to_string();
        assert!(error.contains(r#"EVEN holds "3"; for example EVEN=2"#), "{error}");
    }

    #[test]
    fn debug_output_has_no_variable() {
        let mut environment = environment(&[("STRIPE_API_KEY", "sk_hidden")]);
        environment.reject("an error");
        let shown = format!("{environment:?}");
        assert!(shown.contains("an error") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn complete_settings_are_read() {
        let mut environment = environment(&[
            ("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
            ("KAFKA_SIGN_IN", "NONE"),
            ("ORDERS_TABLE", "orders"),
            ("ROW_TTL_DAYS", "30"),
        ]);
        let settings = Settings::read(&mut environment);
        let settings = environment.finish(settings).unwrap();
        assert_eq!(settings.row_ttl, SignedDuration::from_hours(720));
        assert!(!settings.reports_batch_item_failures);
        assert_eq!(settings.kafka_auth, KafkaAuth::None);
        assert_eq!(settings.kafka_ca_file, None);
    }
}
