//! The region and credentials for calls to AWS APIs.
//!
//! The embedded parts accept any credentials, but the SDK requires some.

use aws_sdk_dynamodb::config::{Credentials, Region};

const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// Region and credentials, for this process and for the functions.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    region: String,
    /// `None` for values that only the embedded parts and DynamoDB Local accept. Its `Debug` has no
    /// secret.
    credentials: Option<Credentials>,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self { region: "us-east-1".to_owned(), credentials: None }
    }
}

impl AwsSettings {
    /// Reads the credentials from the environment; without a complete pair, uses local values.
    ///
    /// `read` looks up an environment variable.
    pub fn from_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        let region = read("AWS_REGION").or_else(|| read("AWS_DEFAULT_REGION"));
        let credentials = match CREDENTIALS.map(&read) {
            [Some(id), Some(secret)] => Some(credentials(&id, &secret, read(SESSION_TOKEN))),
            _ => None,
        };
        Self { region: region.unwrap_or(Self::default().region), credentials }
    }

    /// The environment variables that carry these settings.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let region = region.map(|name| (name.to_owned(), self.region.clone()));
        region.into_iter().chain(variables_of(&self.credentials())).collect()
    }

    /// The variables with the caller's credentials; none for local values.
    pub(crate) fn secret_names(&self) -> Vec<String> {
        let variables = self.credentials.as_ref().map(variables_of).unwrap_or_default();
        variables.into_iter().map(|(name, _)| name).collect()
    }

    pub(crate) fn region(&self) -> Region {
        Region::new(self.region.clone())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        self.credentials.clone().unwrap_or_else(|| credentials("local", "local", None))
    }
}

fn credentials(id: &str, secret: &str, session_token: Option<String>) -> Credentials {
    Credentials::new(id, secret, session_token, None, "local run")
}

fn variables_of(credentials: &Credentials) -> Vec<(String, String)> {
    let [id, secret] = CREDENTIALS;
    let token = credentials.session_token().map(|token| (SESSION_TOKEN, token));
    [(id, credentials.access_key_id()), (secret, credentials.secret_access_key())]
        .into_iter()
        .chain(token)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(settings: &AwsSettings, name: &str) -> Option<String> {
        let mut variables = settings.environment().into_iter();
        variables.find(|(it, _)| it == name).map(|(_, value)| value)
    }

    #[test]
    fn half_a_pair_of_credentials_is_none() {
        let settings = AwsSettings::from_environment(|name| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIA".to_owned()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            _ => None,
        });
        assert_eq!(value(&settings, "AWS_ACCESS_KEY_ID").as_deref(), Some("local"));
        assert_eq!(value(&settings, "AWS_REGION").as_deref(), Some("eu-central-1"));
        assert!(settings.secret_names().is_empty());
    }

    #[test]
    fn credentials_of_the_environment_are_kept_whole_and_not_shown() {
        let settings = AwsSettings::from_environment(|name| Some(format!("my {name}")));
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            assert_eq!(value(&settings, name), Some(format!("my {name}")));
            assert!(settings.secret_names().contains(&name.to_owned()));
        }
        let shown = format!("{settings:?}");
        assert!(!shown.contains("my AWS_SECRET") && !shown.contains("my AWS_SESSION"), "{shown}");
    }
}
