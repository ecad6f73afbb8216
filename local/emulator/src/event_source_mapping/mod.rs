//! An event-source mapping that delivers the records of a topic to a function, as MSK's does.
//!
//! An event has records of several partitions. Those of one partition are delivered in order, each
//! until it is finished or given up; only then does the offset move past it. The template declares a
//! mapping's behaviour.
//!
//! The way of a record: `consumer`, `partition`, `poller`, `batch`, `event`, `delivery`,
//! `lane`, `invocation`, `retry`, then `offsets` or `dead_letter`.

mod batch;
mod consumer;
mod dead_letter;
mod delivery;
mod event;
mod handle;
mod invocation;
mod lane;
mod offsets;
mod partition;
mod poller;
mod retry;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::invoke::InvokeClient;
use crate::template::Mapping;
use consumer::MappingConsumer;
use dead_letter::DeadLetters;
use event::{EventEncoder, Record};
use handle::Unreadable;
pub use handle::{MappingCounts, MappingCountsSnapshot, MappingHandle};
use offsets::Offsets;
use partition::Partition;
use poller::Poller;
use retry::RetryPolicy;

/// Limit for the invocations in flight when a mapping stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running mapping. The owner can stop it; everything else is in its handle.
pub struct EventSourceMapping {
    handle: MappingHandle,
    stopping: watch::Sender<bool>,
    poller: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the mapping {mapping} cannot read {topic}: check that the topic exists and the broker is up"
)]
pub struct MappingError {
    /// Logical id of the mapping.
    pub mapping: String,
    pub topic: String,
    #[source]
    pub source: KafkaError,
}

/// Shared by the parts of a mapping.
struct Shared {
    mapping: Mapping,
    encoder: EventEncoder,
    invoke: InvokeClient,
    consumer: Arc<MappingConsumer>,
    policy: RetryPolicy,
    dead_letters: Option<DeadLetters>,
    offsets: Offsets,
    counts: MappingCounts,
    unreadable: Unreadable,
    invocations: Arc<Semaphore>,
    paused: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
}

impl EventSourceMapping {
    /// Reads the topic from the committed offsets of the consumer group.
    ///
    /// At most `concurrency` invocations are in flight at a time.
    ///
    /// # Errors
    /// [`MappingError`] if the topic cannot be read.
    pub async fn start(
        mapping: Mapping,
        bootstrap_servers: &str,
        invoke: InvokeClient,
        concurrency: usize,
    ) -> Result<Self, MappingError> {
        let failed = |mapping: &Mapping, source| MappingError {
            mapping: mapping.logical_id.clone(),
            topic: mapping.topic.clone(),
            source,
        };
        let uncommitted = Arc::new(Notify::new());
        let consumer = consumer::create(&mapping, bootstrap_servers, Arc::clone(&uncommitted))
            .map_err(|error| failed(&mapping, error))?;
        let consumer = Arc::new(consumer);
        let (paused, paused_seen) = watch::channel(false);
        let (stopping, stopping_seen) = watch::channel(false);
        let shared = Arc::new(Shared {
            encoder: EventEncoder::new(bootstrap_servers, &mapping.topic),
            invoke,
            policy: RetryPolicy::of(&mapping),
            dead_letters: DeadLetters::of(&mapping, bootstrap_servers),
            offsets: Offsets::new(Arc::clone(&consumer), &mapping.topic, uncommitted),
            counts: MappingCounts::default(),
            unreadable: Unreadable::default(),
            invocations: Arc::new(Semaphore::new(concurrency.max(1))),
            paused: paused_seen,
            stopping: stopping_seen,
            consumer,
            mapping,
        });
        let partitions =
            shared.partitions().await.map_err(|error| failed(&shared.mapping, error))?;
        let poller = tokio::spawn(Poller::new(Arc::clone(&shared), partitions).run());
        let committer = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.offsets.keep_committed().await }
        });
        let server = tokio::spawn(consumer::serve(Arc::clone(&shared.consumer)));
        let handle = MappingHandle { shared, paused };
        Ok(Self { handle, stopping, poller, background: vec![committer, server] })
    }

    /// Waits for the invocations in flight, commits, and stops the mapping.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.poller).await.is_err() {
            self.poller.abort();
        }
        for task in &self.background {
            task.abort();
        }
        let shared = Arc::clone(&self.handle.shared);
        let committed = tokio::task::spawn_blocking(move || shared.offsets.commit_and_wait());
        if let Err(error) = committed.await {
            tracing::debug!(%error, "the last commit was aborted");
        }
    }
}

impl Deref for EventSourceMapping {
    type Target = MappingHandle;

    fn deref(&self) -> &MappingHandle {
        &self.handle
    }
}

impl Drop for EventSourceMapping {
    fn drop(&mut self) {
        self.poller.abort();
        for task in &self.background {
            task.abort();
        }
    }
}

impl Shared {
    async fn partitions(self: &Arc<Self>) -> Result<Vec<Partition>, KafkaError> {
        let shared = Arc::clone(self);
        let assigned = tokio::task::spawn_blocking(move || {
            consumer::assign(&shared.consumer, &shared.mapping)
        });
        let queues = assigned.await.unwrap_or(Err(KafkaError::Canceled))?;
        self.offsets.start_at(queues.iter().filter_map(|(number, start, _)| match start {
            Offset::Offset(start) => Some((*number, *start)),
            _ => None,
        }));
        let mut prefetched = consumer::prefetched(self).await;
        let partition = |(number, start, queue)| {
            let first = prefetched.remove(&number).unwrap_or_default();
            Partition::new(Arc::clone(self), number, queue, start, first)
        };
        Ok(queues.into_iter().map(partition).collect())
    }

    fn record(&self, message: &impl Message) -> Record {
        let record = Record::of(message, jiff::Timestamp::now().as_millisecond());
        Record { is_filtered: !self.mapping.filters.matches(message.payload()), ..record }
    }

    /// Permit for an invocation, once the mapping is not paused; `None` if it stops.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let mut paused = self.paused.clone();
        loop {
            paused.wait_for(|paused| !*paused).await.ok()?;
            let permit = Arc::clone(&self.invocations).acquire_owned().await.ok()?;
            // The mapping may have been paused while this batch waited for its permit.
            if !*paused.borrow() {
                return Some(permit);
            }
        }
    }
}
