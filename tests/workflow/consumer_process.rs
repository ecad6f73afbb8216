//! A process of a consumer from `consumers/`.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::Topic;
use emulator::broker;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use workflow_tests::world::World;

use crate::consumers::completed;

/// A running consumer; killed when dropped.
pub(crate) struct Reader {
    lines: Lines<BufReader<ChildStdout>>,
    error_lines: Arc<Mutex<Vec<String>>>,
    pub(crate) group: String,
    _process: Child,
}

impl Reader {
    /// Starts the program with its own consumer group.
    pub(crate) fn start(program: &[&Path], world: &World, database: &Path) -> Self {
        let (executable, arguments) = program.split_first().unwrap();
        let group = format!("consumer-{}", uuid::Uuid::new_v4());
        let mut command = Command::new(executable);
        command
            .args(arguments)
            .arg(world.stack.broker.bootstrap_servers())
            .arg(&group)
            .arg(database)
            .arg(Topic::OrderCompleted.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut process = broker::spawn(|| command.spawn()).unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let error_lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&error_lines);
        let mut complained = BufReader::new(process.stderr.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = complained.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        Self { lines, error_lines, group, _process: process }
    }

    /// Waits for this many log lines about skipped records; returns them.
    pub(crate) async fn until_skipped(&self, times: usize) -> Vec<String> {
        let skipped = async {
            loop {
                let mut lines = self.error_lines();
                lines.retain(|line| line.starts_with("skipped: "));
                if lines.len() >= times {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let skipped = timeout(Duration::from_secs(60), skipped).await;
        skipped.unwrap_or_else(|_| panic!("{times}: {:?}", self.error_lines()))
    }

    fn error_lines(&self) -> Vec<String> {
        self.error_lines.lock().unwrap().clone()
    }

    /// Reads all current records of these partitions; returns the printed lines.
    ///
    /// Each printed event but the last has been handled, so each partition gets one more event. A
    /// malformed record precedes it.
    pub(crate) async fn read_up_to_now(
        &mut self,
        world: &World,
        partitions: &BTreeSet<i32>,
    ) -> Vec<Value> {
        let mut lines = Vec::new();
        for partition in partitions {
            let malformed = b"not JSON \xff";
            world.write(Topic::OrderCompleted, Some(*partition), "malformed", malformed).await;
            let last = format!("ord-{}", uuid::Uuid::new_v4());
            world.write_event(&completed(&last), *partition).await;
            lines.extend(self.until(&last).await);
        }
        lines
    }

    /// Reads up to the event of this order; returns all lines.
    async fn until(&mut self, order_id: &str) -> Vec<Value> {
        let lines = self.lines_until(order_id).await;
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Like [`Self::until`], without parsing.
    pub(crate) async fn lines_until(&mut self, order_id: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| !line.contains(order_id)) {
            let line = timeout(Duration::from_secs(120), self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{order_id}: {:?}", self.error_lines()));
            let line = line.unwrap();
            lines.push(
                line.unwrap_or_else(|| panic!("the consumer has ended: {:?}", self.error_lines())),
            );
        }
        lines
    }
}
