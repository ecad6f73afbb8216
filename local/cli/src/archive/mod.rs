//! The archive: every record of the topics, in a folder of the layout and format that Firehose writes to
//! S3 (`EventArchive` in `template.yaml`).

mod files;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::Topic;
use emulator::broker::Broker;
use emulator::tap::{PartitionBounds, Tap, TapError, TapRecord};
use local_runs::correction;
use terminal::{ExitError, Terminal, error_chain, grouped};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use files::Files;

/// The interval at which the age of files is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Limit for reading the last records without a new one.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The offset after a record, by topic and partition.
type Offsets = BTreeMap<(String, i32), i64>;

/// An archive that is being written.
pub(crate) struct Archive {
    folder: PathBuf,
    finish: oneshot::Sender<Offsets>,
    writer: JoinHandle<Result<Written, ArchiveError>>,
}

/// The contents that this run added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) records: u64,
    pub(crate) files: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error(
        "cannot write the archive in {folder}: {cause} ({})",
        correction(cause),
        folder = folder.display()
    )]
    Write { folder: PathBuf, cause: io::Error },
    #[error("cannot read records for the archive")]
    Read(#[from] TapError),
    #[error(
        "the archive lacks {0} records: the broker deleted them before they were read (send fewer \
         or smaller orders at a time)"
    )]
    Incomplete(i64),
    #[error(
        "reading the topics for the archive: the connection is lost (check that the broker is up)"
    )]
    Lost,
}

impl Archive {
    /// Starts an archive, if there is a folder for it.
    pub(crate) async fn start_in(
        folder: Option<&Path>,
        broker: &Broker,
    ) -> Result<Option<Self>, ExitError> {
        match folder {
            None => Ok(None),
            Some(folder) => Self::start(folder, broker).await.map(Some).map_err(ExitError::start),
        }
    }

    /// Opens the folder, and archives every record that is written to the topics from now on.
    ///
    /// # Errors
    /// [`ArchiveError`] if the folder cannot be written or a topic cannot be read.
    async fn start(folder: &Path, broker: &Broker) -> Result<Self, ArchiveError> {
        let failed = |cause| ArchiveError::Write { folder: folder.to_owned(), cause };
        let files = Files::open(folder).map_err(failed)?;
        let tap = Tap::start(broker, &topics()).await?;
        let (finish, finished) = oneshot::channel();
        let read = ends(tap.opened_at());
        let mut writer = Writer { tap, files, read, missing: 0, folder: folder.to_owned() };
        let writer = tokio::spawn(async move {
            let result = writer.run(finished).await;
            if let Err(error) = &result {
                tracing::error!("{}", error_chain(error));
            }
            result
        });
        Ok(Self { folder: folder.to_owned(), finish, writer })
    }

    /// Writes the records that the topics have by now, and closes all files.
    ///
    /// # Errors
    /// [`ArchiveError`] if the archive is not complete.
    async fn finish(self, broker: &Broker) -> Result<String, ArchiveError> {
        let last = Tap::start(broker, &topics()).await?;
        if self.finish.send(ends(last.opened_at())).is_err() {
            tracing::debug!("the archive has failed before its end");
        }
        let Written { records, files } = self.writer.await.unwrap_or(Err(ArchiveError::Lost))?;
        let folder = self.folder.display();
        let (records, files) = (grouped(records), grouped(files));
        Ok(format!("Archive: {records} records in {files} new files of {folder}."))
    }
}

/// Completes an archive, if there is one.
pub(crate) async fn finish(
    archive: Option<Archive>,
    broker: &Broker,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    if let Some(archive) = archive {
        terminal.println(&archive.finish(broker).await.map_err(ExitError::run)?);
    }
    Ok(())
}

fn topics() -> Vec<&'static str> {
    Topic::ALL.iter().map(|topic| topic.name()).collect()
}

fn ends(bounds: &[PartitionBounds]) -> Offsets {
    bounds.iter().map(|it| ((it.topic.clone(), it.partition), it.end)).collect()
}

struct Writer {
    tap: Tap,
    files: Files,
    read: Offsets,
    /// Records that were gone before they could be read.
    missing: i64,
    folder: PathBuf,
}

impl Writer {
    async fn run(
        &mut self,
        mut finish: oneshot::Receiver<Offsets>,
    ) -> Result<Written, ArchiveError> {
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        let until = loop {
            tokio::select! {
                record = self.tap.next() => self.write(&record.ok_or(ArchiveError::Lost)?)?,
                _ = check.tick() => {
                    let closed = self.files.close_old();
                    closed.map_err(|cause| self.failed(cause))?;
                }
                until = &mut finish => break until.unwrap_or_default(),
            }
        };
        while !self.has_read(&until) {
            let record = tokio::time::timeout(STALL_TIMEOUT, self.tap.next()).await;
            self.write(&record.ok().flatten().ok_or(ArchiveError::Lost)?)?;
        }
        let written = self.files.close_all().map_err(|cause| self.failed(cause))?;
        if self.missing > 0 { Err(ArchiveError::Incomplete(self.missing)) } else { Ok(written) }
    }

    fn write(&mut self, record: &TapRecord) -> Result<(), ArchiveError> {
        let next = record.offset.saturating_add(1);
        let before = self.read.insert((record.topic.clone(), record.partition), next);
        self.missing += record.offset.saturating_sub(before.unwrap_or(record.offset)).max(0);
        // A record without a value has nothing to archive.
        let Some(value) = &record.payload else { return Ok(()) };
        self.files.write(&record.topic, value).map_err(|cause| self.failed(cause))
    }

    fn has_read(&self, until: &Offsets) -> bool {
        until.iter().all(|(partition, end)| self.read.get(partition) >= Some(end))
    }

    fn failed(&self, cause: io::Error) -> ArchiveError {
        ArchiveError::Write { folder: self.folder.clone(), cause }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;

    use emulator::template::Template;
    use flate2::read::GzDecoder;

    use super::*;
    use crate::cli::default_template;
    use crate::fixtures::CreatedRecord;
    use crate::fixtures::producer::Producer;

    async fn broker() -> Broker {
        let broker = Broker::embedded().unwrap();
        let template = Template::read(&default_template()).unwrap();
        broker.create_topics(&template.topics).await.unwrap();
        broker
    }

    /// The lines of `order.created`, in order.
    fn lines(folder: &Path) -> Vec<String> {
        let days = fs::read_dir(folder.join("order.created")).into_iter().flatten();
        let files = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
        let mut text = String::new();
        for file in files {
            let file = File::open(file.unwrap().path()).unwrap();
            GzDecoder::new(file).read_to_string(&mut text).unwrap();
        }
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Publishes each number from 0 to 99 twice, then a tombstone; all to one partition.
    async fn publish(broker: &Broker) -> Vec<String> {
        let producer = Producer::new(broker.bootstrap_servers()).unwrap();
        let values: Vec<_> = (0..200).map(|number| format!("{:03}", number / 2)).collect();
        for value in values.iter().map(|it| Some(it.clone().into_bytes())).chain([None]) {
            let record = CreatedRecord { key: b"key".to_vec(), value };
            producer.publish(&record).await.unwrap();
        }
        values
    }

    async fn writer(folder: &Path, broker: &Broker) -> Writer {
        let tap = Tap::start(broker, &topics()).await.unwrap();
        let (files, read) = (Files::open(folder).unwrap(), ends(tap.opened_at()));
        Writer { tap, files, read, missing: 0, folder: folder.to_owned() }
    }

    /// The ends of the topics, sent to a writer before it has read anything.
    async fn finish_now(broker: &Broker) -> (Offsets, oneshot::Receiver<Offsets>) {
        let ends = ends(Tap::start(broker, &topics()).await.unwrap().opened_at());
        let (finish, finished) = oneshot::channel();
        finish.send(ends.clone()).unwrap();
        (ends, finished)
    }

    #[tokio::test]
    async fn every_value_is_archived_repeats_too_and_tombstones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let broker = broker().await;
        let archive = Archive::start(folder.path(), &broker).await.unwrap();
        let values = publish(&broker).await;
        let line = archive.finish(&broker).await.unwrap();
        assert!(line.starts_with("Archive: 200 records in 1 new files of "), "{line}");
        assert_eq!(lines(folder.path()), values);
    }

    #[tokio::test]
    async fn the_end_waits_for_the_records_that_are_not_read_yet() {
        let folder = tempfile::tempdir().unwrap();
        let broker = broker().await;
        let mut writer = writer(folder.path(), &broker).await;
        let values = publish(&broker).await;
        let (_, finished) = finish_now(&broker).await;
        writer.run(finished).await.unwrap();
        assert_eq!(lines(folder.path()), values);
    }

    #[tokio::test]
    async fn an_archive_that_lacks_records_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let broker = broker().await;
        let mut writer = writer(folder.path(), &broker).await;
        publish(&broker).await;
        let (ends, finished) = finish_now(&broker).await;
        // As if three records before these had been deleted.
        let (partition, _) = ends.into_iter().find(|(_, end)| *end > 0).unwrap();
        writer.read.insert(partition, -3);
        let error = writer.run(finished).await.unwrap_err().to_string();
        assert!(error.starts_with("the archive lacks 3 records"), "{error}");
        assert_eq!(lines(folder.path()).len(), 200);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_an_error_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let Err(error) = Archive::start(&file, &broker().await).await else { panic!() };
        assert!(error.to_string().starts_with("cannot write the archive in "), "{error}");
        assert!(error.to_string().ends_with("(make it writable, or use another path)"), "{error}");
    }
}
