//! A consumer of assigned partitions, which no other consumer notices.

use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::{Brokers, Context};

/// Long enough for a token to be made.
const TOKEN_POLL: Duration = Duration::from_millis(100);

impl Brokers {
    /// A consumer that is to be assigned partitions; blocks for a moment. `client` names it.
    ///
    /// # Errors
    /// If the client cannot be set up.
    pub fn reader(&self, client: &str) -> Result<BaseConsumer<Context>, KafkaError> {
        let consumer: BaseConsumer<Context> = self
            .client_config()
            // The client requires a group id. It neither joins the group nor commits, so it needs
            // no permission for it.
            .set("group.id", client)
            .set("client.id", client)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // If retention moves the beginning meanwhile, start at the new one.
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "100")
            .create_with_context(self.context())?;
        // The client makes its token only while polled, and metadata requests do not poll. Nothing
        // is assigned yet, so no record can arrive.
        drop(consumer.poll(TOKEN_POLL));
        Ok(consumer)
    }
}
