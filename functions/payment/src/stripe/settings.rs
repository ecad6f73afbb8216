//! Settings of Stripe, and its key.

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use engine::{Clock, TransientError};
use lambda_runtime::Error;
use reqwest::Url;
use runtime::Environment;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Stripe,
    attempts::Attempts,
    client::{Client, base_url},
    currency::Currency,
};

const STRIPE: &str = "https://api.stripe.com";

/// The prefixes of Stripe's secret keys and restricted keys.
const KEY_PREFIXES: [&str; 2] = ["sk_", "rk_"];

/// Settings of Stripe.
#[derive(Debug)]
pub struct StripeSettings {
    currency: Currency,
    base: Url,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Here(SecretString),
    /// In the secret of this name or ARN.
    Secret(String),
}

impl StripeSettings {
    /// Reads the settings; `None` if one is missing or malformed, which `finish` reports.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let currency = environment.required("CURRENCY", "USD");
        let currency = match Currency::parse(&currency) {
            Some(currency) => Some(currency),
            None if currency.is_empty() => None,
            None => {
                environment.reject(format!(
                    "CURRENCY is {currency:?}, but must be the three letters of a currency whose \
                     amounts Stripe counts in one way only; for example CURRENCY=USD"
                ));
                None
            }
        };
        let base =
            environment.optional_text("STRIPE_API_BASE").unwrap_or_else(|| STRIPE.to_owned());
        let url = base_url(&base);
        if url.is_none() {
            environment.reject(format!(
                "STRIPE_API_BASE is {base:?}, but must begin with https://, or be on this machine"
            ));
        }
        let key = key(environment);
        Some(Self { currency: currency?, base: url?, key: key? })
    }

    /// Creates the client with its key.
    pub(crate) async fn connect(self, clock: Clock) -> Result<Stripe, Error> {
        let key = match self.key {
            Key::Here(key) => key,
            Key::Secret(name) => fetch(&name).await?,
        };
        if !is_key(&key) {
            return Err(
                "the secret does not hold a secret key of Stripe; its text must be the key alone, \
                        which begins with sk_ or rk_"
                    .into(),
            );
        }
        Ok(Stripe {
            client: Client::new(self.base, key)?,
            currency: self.currency,
            clock,
            attempts: Attempts::default(),
        })
    }
}

fn key(environment: &mut Environment) -> Option<Key> {
    let key = environment.optional_text("STRIPE_API_KEY").map(SecretString::from);
    let secret = environment.optional_text("STRIPE_API_KEY_SECRET");
    match (key, secret) {
        (Some(key), None) if is_key(&key) => return Some(Key::Here(key)),
        (None, Some(name)) => return Some(Key::Secret(name)),
        (Some(_), None) => environment
            .reject("STRIPE_API_KEY is not a secret key of Stripe; it must begin with sk_ or rk_"),
        (Some(_), Some(_)) => environment
            .reject("STRIPE_API_KEY and STRIPE_API_KEY_SECRET are both set; leave one of them out"),
        (None, None) => environment.reject(
            "PAYMENT_PROVIDER=stripe needs STRIPE_API_KEY_SECRET, the name or ARN of a secret in \
             Secrets Manager that holds the API key, or STRIPE_API_KEY, the key itself",
        ),
    }
    None
}

fn is_key(key: &SecretString) -> bool {
    KEY_PREFIXES.iter().any(|prefix| key.expose_secret().starts_with(prefix))
}

async fn fetch(name: &str) -> Result<SecretString, Error> {
    let aws = runtime::aws_config().await;
    // No engine retries this request.
    let config = aws_sdk_secretsmanager::config::Builder::from(&aws)
        .retry_config(RetryConfig::standard())
        .build();
    let secrets = aws_sdk_secretsmanager::Client::from_conf(config);
    let secret = secrets.get_secret_value().secret_id(name).send().await.map_err(|error| {
        // A response may hold the secret itself.
        let error = TransientError::aws("read the secret", &error).chain();
        format!("STRIPE_API_KEY_SECRET={name}: {error}")
    })?;
    let text = secret.secret_string.ok_or("the secret holds no text")?;
    Ok(SecretString::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter();
        let mut environment = Environment::new(
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let read = StripeSettings::read(&mut environment);
        let shown = format!("{read:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        environment.finish(read.is_some()).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn a_key_or_the_name_of_its_secret_is_enough() {
        assert_eq!(errors(&[("CURRENCY", "EUR"), ("STRIPE_API_KEY", "sk_test_hidden")]), "");
        assert_eq!(errors(&[("CURRENCY", "EUR"), ("STRIPE_API_KEY_SECRET", "stripe")]), "");
    }

    #[test]
    fn missing_and_malformed_settings_are_reported_without_the_key() {
        let nothing = errors(&[]);
        assert!(nothing.contains("CURRENCY is not set; for example CURRENCY=USD"), "{nothing}");
        assert!(
            nothing.contains("PAYMENT_PROVIDER=stripe needs STRIPE_API_KEY_SECRET"),
            "{nothing}"
        );
        let wrong = errors(&[
            ("CURRENCY", "UGX"),
            ("STRIPE_API_BASE", "http://api.stripe.com"),
            ("STRIPE_API_KEY", "pk_test_hidden"),
        ]);
        assert!(wrong.contains("CURRENCY is \"UGX\""), "{wrong}");
        assert!(wrong.contains("must begin with https://"), "{wrong}");
        assert!(wrong.contains("it must begin with sk_ or rk_"), "{wrong}");
        assert!(!wrong.contains("hidden"), "{wrong}");
    }
}
