//! The region and credentials for calls to AWS APIs.
//!
//! The embedded parts accept any credentials, but the SDK requires some.

use aws_sdk_dynamodb::config::{Credentials, Region};

/// Region and credentials, for this process and for the functions.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Only temporary credentials have one.
    pub session_token: Option<String>,
}

impl Default for AwsSettings {
    /// Values that only the embedded parts and DynamoDB Local accept.
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
            session_token: None,
        }
    }
}

impl AwsSettings {
    /// Reads the credentials from the environment; without a complete pair, uses the local values.
    ///
    /// `read` looks up an environment variable.
    pub fn from_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        let default = Self::default();
        let region = read("AWS_REGION").or_else(|| read("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or(default.region);
        match (read("AWS_ACCESS_KEY_ID"), read("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key_id), Some(secret_access_key)) => Self {
                region,
                access_key_id,
                secret_access_key,
                session_token: read("AWS_SESSION_TOKEN"),
            },
            _ => Self { region, ..Self::default() },
        }
    }

    /// The environment variables that carry these settings.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("AWS_REGION".to_owned(), self.region.clone()),
            ("AWS_DEFAULT_REGION".to_owned(), self.region.clone()),
            ("AWS_ACCESS_KEY_ID".to_owned(), self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), self.secret_access_key.clone()),
        ];
        if let Some(token) = &self.session_token {
            variables.push(("AWS_SESSION_TOKEN".to_owned(), token.clone()));
        }
        variables
    }

    pub(crate) fn region(&self) -> Region {
        Region::new(self.region.clone())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(
            &self.access_key_id,
            &self.secret_access_key,
            self.session_token.clone(),
            None,
            "local run",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_of_credentials_is_none() {
        let settings = AwsSettings::from_environment(|name| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIA".to_owned()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            _ => None,
        });
        assert_eq!(settings.access_key_id, "local");
        assert_eq!(settings.region, "eu-central-1");
    }

    #[test]
    fn credentials_of_the_environment_are_kept_whole() {
        let settings = AwsSettings::from_environment(|name| Some(format!("my {name}")));
        assert_eq!(settings.access_key_id, "my AWS_ACCESS_KEY_ID");
        assert_eq!(settings.session_token.as_deref(), Some("my AWS_SESSION_TOKEN"));
    }
}
