//! What a function needs to be told, read once, with every fault named at once.

use std::{collections::HashMap, fmt};

use jiff::SignedDuration;

/// What every function needs to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the brokers are: host:port, with commas between several.
    pub kafka_bootstrap_servers: String,
    /// How to sign in there.
    pub kafka_sign_in: KafkaSignIn,
    /// A file of certificates to trust for that, instead of the system's.
    pub kafka_ca_file: Option<String>,
    /// The table of the stages' rows.
    pub orders_table: String,
    /// How long a row is kept; longer than the topics keep their records.
    pub row_ttl: SignedDuration,
    /// Whether the mapping reads partial responses; if not, a failure fails the whole batch.
    pub reports_batch_item_failures: bool,
}

/// How to sign in at the brokers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KafkaSignIn {
    /// With the function's role, over TLS: Amazon MSK.
    #[default]
    MskIam,
    /// Not at all, and in plaintext: brokers on this machine.
    None,
}

impl Settings {
    /// Reads what every function needs.
    pub fn read(environment: &mut Environment) -> Self {
        let days = environment.whole_number("ROW_TTL_DAYS", "30", 1..=3_650);
        Self {
            kafka_bootstrap_servers: environment.text("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
            kafka_sign_in: environment.choice(
                "KAFKA_SIGN_IN",
                &[("MSK_IAM", KafkaSignIn::MskIam), ("NONE", KafkaSignIn::None)],
            ),
            kafka_ca_file: environment.optional_text("KAFKA_CA_FILE"),
            orders_table: environment.text("ORDERS_TABLE", "OrdersTable"),
            row_ttl: SignedDuration::from_hours(24 * i64::from(days)),
            reports_batch_item_failures: environment
                .optional("FUNCTION_RESPONSE_TYPES", "ReportBatchItemFailures"),
        }
    }
}

/// The variables of the process, and what was wrong with those that were read.
pub struct Environment {
    variables: HashMap<String, String>,
    faults: Vec<String>,
}

impl fmt::Debug for Environment {
    /// Without the variables, because keys are among them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Environment").field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// Everything that is missing or malformed among the settings.
///
/// Reads the same in `Debug`, because that is what a failing `main` prints.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings are not complete:\n  {}", faults.join("\n  "))]
pub struct SettingsError {
    faults: Vec<String>,
}

impl fmt::Debug for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Environment {
    /// Variables by name; in a function, those of its process.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), faults: Vec::new() }
    }

    /// A text that must be there; empty where it is not, which [`Self::check`] reports.
    pub fn text(&mut self, name: &str, example: &str) -> String {
        match self.variables.get(name).map(|value| value.trim()) {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ => {
                self.faults.push(format!("{name} is not set; for example {name}={example}"));
                String::new()
            }
        }
    }

    /// A whole number that must be there and in range; the lowest where it is not.
    pub fn whole_number(
        &mut self,
        name: &str,
        example: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> u32 {
        let known_faults = self.faults.len();
        let text = self.text(name, example);
        match text.parse() {
            Ok(number) if range.contains(&number) => return number,
            _ if self.faults.len() > known_faults => {}
            _ => self.faults.push(format!(
                "{name} is {text:?}, but must be a whole number from {} to {}; \
                 for example {name}={example}",
                range.start(),
                range.end()
            )),
        }
        *range.start()
    }

    /// What one of these words means, which must be there; the default where it is not.
    pub fn choice<T: Copy + Default>(&mut self, name: &str, choices: &[(&str, T)]) -> T {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let words = words.join(" or ");
        let text = self.variables.get(name).map(|value| value.trim()).unwrap_or_default();
        if let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) {
            return *meaning;
        }
        self.faults.push(match text {
            "" => format!("{name} is not set; it must be {words}"),
            text => format!("{name} is {text:?}, but must be {words}"),
        });
        T::default()
    }

    /// A text that may be left out.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        let value = self.variables.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The texts of a list with commas, which may be left out; each of them must be good.
    pub fn optional_list(
        &mut self,
        name: &str,
        example: &str,
        is_good: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let list = self.optional_text(name).unwrap_or_default();
        let texts = list.split(',').map(str::trim).filter(|text| !text.is_empty());
        let (good, bad): (Vec<_>, Vec<_>) = texts.partition(|text| is_good(text));
        self.faults.extend(
            bad.iter().map(|text| format!("{name} holds {text:?}; for example {name}={example}")),
        );
        good.into_iter().map(str::to_owned).collect()
    }

    /// Whether a variable that may be left out says this one word.
    pub fn optional(&mut self, name: &str, word: &str) -> bool {
        match self.variables.get(name).map(|value| value.trim()) {
            None | Some("") => false,
            Some(value) if value == word => true,
            Some(value) => {
                self.faults
                    .push(format!("{name} is {value:?}, but may only be {word} or left out"));
                false
            }
        }
    }

    /// Adds a fault that only shows where several variables are looked at together.
    pub fn refuse(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Passes on what was read, unless something was wrong.
    ///
    /// # Errors
    /// Every fault of every variable that was read.
    pub fn check<T>(&self, read: T) -> Result<T, SettingsError> {
        if self.faults.is_empty() {
            Ok(read)
        } else {
            Err(SettingsError { faults: self.faults.clone() })
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
        ]);
        let settings = Settings::read(&mut environment);
        assert_eq!(
            environment.check(settings).unwrap_err().to_string(),
            "the settings are not complete:\n  \
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
        assert_eq!(environment.check(()), Ok(()));
        assert_eq!(environment.optional_list("EVEN", "2", is_even), ["2", "4"]);
        let fault = environment.check(()).unwrap_err().to_string();
        assert!(fault.contains(r#"EVEN holds "3"; for example EVEN=2"#), "{fault}");
    }

    #[test]
    fn no_variable_stands_in_debug_output() {
        let mut environment = environment(&[("STRIPE_API_KEY", "sk_hidden")]);
        environment.refuse("a fault");
        let shown = format!("{environment:?}");
        assert!(shown.contains("a fault") && !shown.contains("hidden"), "{shown}");
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
        let settings = environment.check(settings).unwrap();
        assert_eq!(settings.row_ttl, SignedDuration::from_hours(720));
        assert!(!settings.reports_batch_item_failures);
        assert_eq!(settings.kafka_sign_in, KafkaSignIn::None);
        assert_eq!(settings.kafka_ca_file, None);
    }
}
