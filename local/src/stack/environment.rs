//! What do functions and clients have to know of a running stack?

use std::collections::BTreeMap;

use super::Stack;
use crate::template::{Function, Setting};

impl Stack {
    /// Everything that a function run elsewhere, or a client of the stack, needs to know.
    ///
    /// Where functions give one variable different values, the first function's is taken.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for function in self.template.functions.iter().rev() {
            environment.extend(self.function_environment(function));
        }
        if let Some(url) = self.api_url() {
            environment.insert("ORDER_API_URL".to_owned(), url);
        }
        let servers = self.broker.bootstrap_servers().to_owned();
        environment.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), servers);
        environment
    }

    /// What the template and this stack tell a function.
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
        // Brokers on this machine ask for no sign-in; the template's functions sign in at MSK.
        environment.insert("KAFKA_SIGN_IN".to_owned(), "NONE".to_owned());
        environment
    }
}
