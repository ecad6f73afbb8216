//! The environment variables of the functions and of the stack's clients.

use std::collections::{BTreeMap, BTreeSet};

use super::Stack;
use crate::template::{Function, Setting};

impl Stack {
    /// The variables for a function that is hosted elsewhere, or for a client of the stack, without
    /// [`Self::private_variables`].
    ///
    /// If functions set one variable to different values, the first function's value wins.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for function in self.template.functions.iter().rev() {
            environment.extend(self.function_environment(function));
        }
        if let Some(url) = self.api_url() {
            environment.insert("HTTP_API_URL".to_owned(), url);
        }
        let servers = self.broker.bootstrap_servers().to_owned();
        environment.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), servers);
        environment.retain(|name, _| !self.private_variables.contains(name));
        environment
    }

    /// The names of the variables that may have secrets: the caller's credentials, and those of the
    /// options for the functions.
    #[must_use]
    pub fn private_variables(&self) -> &BTreeSet<String> {
        &self.private_variables
    }

    /// The template's variables, then those of this stack.
    pub(super) fn function_environment(&self, function: &Function) -> BTreeMap<String, String> {
        let settings = function.environment.iter().map(|(name, setting)| {
            let value = match setting {
                Setting::Text(text) => text.clone(),
                Setting::BootstrapServers => self.broker.bootstrap_servers().to_owned(),
                Setting::TableName(logical_id) => self.table(logical_id),
            };
            (name.clone(), value)
        });
        let mut environment: BTreeMap<_, _> = settings.collect();
        environment.extend(self.aws.environment());
        let endpoint = self.database.endpoint().to_owned();
        environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), endpoint);
        // Brokers on this machine need no authentication; the template's setting is for MSK.
        environment.insert("KAFKA_SIGN_IN".to_owned(), "NONE".to_owned());
        environment
    }
}
