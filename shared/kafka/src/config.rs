//! Settings of Kafka clients.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::{Context, MskIam};

/// Brokers, and the authentication to them.
#[derive(Debug, Clone)]
pub struct Brokers {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    pub auth: Auth,
}

/// Authentication to the brokers.
#[derive(Debug, Clone)]
pub enum Auth {
    /// None, over plaintext: brokers on this machine.
    None,
    /// With IAM over TLS: Amazon MSK.
    MskIam(MskIam),
}

/// Checks a list of brokers from a command line.
///
/// # Errors
/// The correction, if it is blank.
pub fn bootstrap_servers(text: &str) -> Result<String, &'static str> {
    let is_blank = text.trim().is_empty();
    if is_blank { Err("give host:port, such as localhost:9092") } else { Ok(text.to_owned()) }
}

impl Brokers {
    /// Brokers without authentication.
    #[must_use]
    pub fn plaintext(bootstrap_servers: &str) -> Self {
        Self { bootstrap_servers: bootstrap_servers.to_owned(), auth: Auth::None }
    }

    /// The settings of every client of these brokers.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            // A frozen process does not notice that its connections died: detect it soon, close
            // connections before the brokers do, and reconnect quickly but not in a storm.
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            .set("connections.max.idle.ms", "180000")
            // The client waits half of it (11 ms at least) between its first connections, so the
            // default of 100 would cost every start 50 ms. It doubles up to the maximum.
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false")
            // Nobody reads client metrics on the brokers.
            .set("enable.metrics.push", "false");
        match &self.auth {
            Auth::None => config.set("security.protocol", "PLAINTEXT"),
            Auth::MskIam(iam) => config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "OAUTHBEARER")
                // The system's certificates, wherever this system keeps them.
                .set("ssl.ca.location", iam.certificates().unwrap_or("probe")),
        };
        config
    }

    /// The settings of every producer; a record fails after `delivery_timeout`.
    #[must_use]
    pub fn producer_config(&self, delivery_timeout: Duration) -> ClientConfig {
        let mut config = self.client_config();
        config
            // Every in-sync replica has a record once and in order before it counts as written.
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // The partitioner of Java clients: consumers that join topics by key rely on it.
            .set("partitioner", "murmur2_random")
            // A batch is enqueued within microseconds; waiting longer would only add latency.
            .set("linger.ms", "1")
            // The brokers decide which record is too large: a dead letter wraps one in base64.
            .set("message.max.bytes", "16000000")
            .set("message.timeout.ms", delivery_timeout.as_millis().to_string());
        config
    }

    /// The context of every client of these brokers.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(self.auth.clone())
    }
}
