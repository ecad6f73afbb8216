//! How a Kafka client reaches its brokers: where they are, whether the way is encrypted, and who
//! signs in.
//!
//! Against Amazon MSK a client signs in with IAM: over TLS it hands over a token, a URL signed with
//! the credentials of the process, which is good for 15 minutes. Against brokers on one machine it
//! does not sign in at all, and says so in its settings: nothing falls back to plaintext by itself.

mod sign_in;

use std::time::Duration;

use rdkafka::ClientConfig;

pub use sign_in::{Context, MskIam, SignInError, TOKEN_LIFE};

/// The brokers, and the way to them.
#[derive(Debug, Clone)]
pub struct Brokers {
    /// Where they are: host:port, with commas between several.
    pub bootstrap_servers: String,
    /// Who signs in.
    pub sign_in: SignIn,
}

/// Who signs in at the brokers.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// Nobody, and nothing is encrypted: brokers on this machine.
    None,
    /// The role or user whose credentials the process has.
    MskIam(MskIam),
}

impl Brokers {
    /// Brokers that ask for no sign-in.
    #[must_use]
    pub fn plaintext(bootstrap_servers: &str) -> Self {
        Self { bootstrap_servers: bootstrap_servers.to_owned(), sign_in: SignIn::None }
    }

    /// What every client of these brokers is set to; a producer or a consumer adds its own.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            // A frozen process does not notice that its connections died: find out soon, drop what
            // idled longer than brokers keep it, and come back quickly but not in a storm.
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            .set("connections.max.idle.ms", "180000")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false")
            // Client metrics would be sent to the brokers, and nobody reads them there.
            .set("enable.metrics.push", "false");
        match &self.sign_in {
            SignIn::None => config.set("security.protocol", "PLAINTEXT"),
            SignIn::MskIam(iam) => config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "OAUTHBEARER")
                // The system's certificates, wherever this system keeps them.
                .set("ssl.ca.location", iam.certificates().unwrap_or("probe")),
        };
        config
    }

    /// What every producer is set to, so that whoever writes a key writes it to the same partition.
    ///
    /// `delivery_timeout` is how long the client tries to deliver a record before it says that it
    /// could not.
    #[must_use]
    pub fn producer_config(&self, delivery_timeout: Duration) -> ClientConfig {
        let mut config = self.client_config();
        config
            // A record counts as written when every in-sync replica has it, once and in order.
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // Java clients choose partitions this way: whoever joins topics by key relies on it.
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", delivery_timeout.as_millis().to_string());
        config
    }

    /// The context that a client of these brokers is created with: it answers for the sign-in.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(self.sign_in.clone())
    }
}
