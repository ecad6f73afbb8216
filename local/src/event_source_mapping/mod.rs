//! What brings the records of a topic to a function? An event-source mapping, as MSK's does.
//!
//! The records of a partition reach the function in order, each until it is done with or given up;
//! an offset moves only past such records. Everything a mapping does is declared in the template.

mod answer;
mod attempt;
mod consumer;
mod counts;
mod dead_letter;
mod delivery;
mod error;
mod event;
mod handle;
mod offsets;
mod partition;
mod record;
mod retry;
mod unreadable;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::error::KafkaError;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinHandle;

use crate::invoke::InvokeClient;
use crate::template::Mapping;
use consumer::{MappingConsumer, Partition};
pub use counts::{MappingCounts, MappingCountsSnapshot};
use dead_letter::DeadLetters;
pub use error::MappingError;
pub use handle::MappingHandle;
use offsets::Offsets;
use retry::RetryPolicy;
use unreadable::Unreadable;

/// How long invocations that are under way may hold up the end of a mapping.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running event-source mapping, which its owner stops; all else is done with its handle.
pub struct EventSourceMapping {
    handle: MappingHandle,
    stopping: watch::Sender<bool>,
    partitions: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
}

/// What the partitions of a mapping have in common.
struct Shared {
    mapping: Mapping,
    bootstrap_servers: String,
    invoke: InvokeClient,
    consumer: Arc<MappingConsumer>,
    policy: RetryPolicy,
    dead_letters: Option<DeadLetters>,
    offsets: Offsets,
    counts: MappingCounts,
    unreadable: Unreadable,
    invocations: Semaphore,
    paused: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
}

impl EventSourceMapping {
    /// Starts to read the topic where the consumer group left off.
    ///
    /// At most `concurrency` invocations are under way at a time.
    ///
    /// # Errors
    /// [`MappingError`] when the topic cannot be read.
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
            bootstrap_servers: bootstrap_servers.to_owned(),
            invoke,
            policy: RetryPolicy {
                bisects_on_error: mapping.bisects_on_error,
                maximum_retries: mapping.maximum_retries,
                maximum_record_age: mapping.maximum_record_age,
            },
            dead_letters: mapping
                .on_failure_topic
                .as_ref()
                .map(|topic| DeadLetters::new(bootstrap_servers, topic, &mapping.function.binary)),
            offsets: Offsets::new(Arc::clone(&consumer), &mapping.topic, uncommitted),
            counts: MappingCounts::default(),
            unreadable: Unreadable::default(),
            invocations: Semaphore::new(concurrency.max(1)),
            paused: paused_seen,
            stopping: stopping_seen,
            consumer,
            mapping,
        });
        let partitions =
            shared.partitions().await.map_err(|error| failed(&shared.mapping, error))?;
        let partitions = partitions
            .into_iter()
            .map(|partition| tokio::spawn(partition::work_through(Arc::clone(&shared), partition)))
            .collect();
        let committer = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.offsets.keep_committed().await }
        });
        let server = tokio::spawn(consumer::serve(Arc::clone(&shared.consumer)));
        let handle = MappingHandle { shared, paused };
        Ok(Self { handle, stopping, partitions, background: vec![committer, server] })
    }

    /// Lets the invocations under way come to their end, commits, and ends the mapping.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        let deadline = tokio::time::Instant::now() + STOP_WITHIN;
        for mut partition in self.partitions.drain(..) {
            if tokio::time::timeout_at(deadline, &mut partition).await.is_err() {
                partition.abort();
            }
        }
        for task in &self.background {
            task.abort();
        }
        let shared = Arc::clone(&self.handle.shared);
        let committed = tokio::task::spawn_blocking(move || shared.offsets.commit_and_wait());
        if let Err(error) = committed.await {
            tracing::debug!(%error, "the last commit was cut short");
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
        for task in self.partitions.iter().chain(&self.background) {
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
        let mut strays = consumer::strays(&self.consumer).await;
        Ok(queues
            .into_iter()
            .map(|(number, _, queue)| {
                let first = strays.remove(&number).unwrap_or_default();
                Partition { number, queue, first }
            })
            .collect())
    }

    /// Leave to invoke, once the mapping is not paused; `None` when it ends.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        let mut paused = self.paused.clone();
        loop {
            paused.wait_for(|paused| !*paused).await.ok()?;
            let permit = self.invocations.acquire().await.ok()?;
            // The mapping may have been paused while this batch waited for its turn.
            if !*paused.borrow() {
                return Some(permit);
            }
        }
    }
}
