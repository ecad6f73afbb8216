//! The files of the archive: `TOPIC/date=YYYY-MM-DD/NAME.gz`, a line for each value.
//!
//! A file gets its name once it is complete. Until then it starts with a dot, which most SQL engines
//! pass over, and ends with `.part`, because `DuckDB` reads whatever its pattern matches.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use uuid::Uuid;

use super::Written;

/// Age and uncompressed size at which a file is closed. Firehose's are those of `BufferingHints`;
/// here nobody waits five minutes.
const MAX_AGE: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The files of a folder that are being written: one for each topic at most.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    open: BTreeMap<String, OpenFile>,
    written: Written,
}

#[derive(Debug)]
struct OpenFile {
    content: GzEncoder<BufWriter<File>>,
    bytes: usize,
    since: Instant,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Files {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), open: BTreeMap::new(), written: Written::default() })
    }

    pub(super) fn write(&mut self, topic: &str, value: &[u8]) -> io::Result<()> {
        let file = match self.open.get_mut(topic) {
            Some(file) => file,
            None => {
                let file = OpenFile::create(&self.folder.join(topic), topic)?;
                self.open.entry(topic.to_owned()).or_insert(file)
            }
        };
        file.content.write_all(value)?;
        file.content.write_all(b"\n")?;
        file.bytes += value.len();
        self.written.records += 1;
        if file.bytes >= MAX_BYTES { self.close(topic) } else { Ok(()) }
    }

    /// Closes the files that have reached [`MAX_AGE`].
    pub(super) fn close_old(&mut self) -> io::Result<()> {
        let old = self.open.iter().filter(|(_, file)| file.since.elapsed() >= MAX_AGE);
        let old: Vec<_> = old.map(|(topic, _)| topic.clone()).collect();
        old.iter().try_for_each(|topic| self.close(topic))
    }

    pub(super) fn close_all(&mut self) -> io::Result<Written> {
        while let Some(topic) = self.open.keys().next().cloned() {
            self.close(&topic)?;
        }
        Ok(self.written)
    }

    fn close(&mut self, topic: &str) -> io::Result<()> {
        let Some(file) = self.open.remove(topic) else { return Ok(()) };
        file.content.finish()?.flush()?;
        fs::rename(&file.unfinished, &file.path)?;
        self.written.files += 1;
        Ok(())
    }
}

impl OpenFile {
    /// Creates a file of this day (UTC), named like those of the first version of a Firehose stream.
    fn create(folder: &Path, topic: &str) -> io::Result<Self> {
        let now = Timestamp::now();
        let folder = folder.join(format!("date={}", now.strftime("%Y-%m-%d")));
        fs::create_dir_all(&folder)?;
        let time = now.strftime("%Y-%m-%d-%H-%M-%S");
        let name = format!("{topic}-1-{time}-{}.gz", Uuid::new_v4());
        let unfinished = folder.join(format!(".{name}.part"));
        let file = BufWriter::new(File::create(&unfinished)?);
        Ok(Self {
            content: GzEncoder::new(file, Compression::fast()),
            bytes: 0,
            since: Instant::now(),
            unfinished,
            path: folder.join(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// The names of the files of a topic, and their lines.
    fn files(folder: &Path, topic: &str) -> Vec<(String, String)> {
        let days = fs::read_dir(folder.join(topic)).unwrap();
        let files = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
        let mut files: Vec<_> = files
            .map(|file| {
                let path = file.unwrap().path();
                let mut text = String::new();
                let read = GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text);
                // A file in progress has no end yet.
                read.unwrap_or_default();
                (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_has_its_name_once_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Files::open(folder.path()).unwrap();
        archive.write("order.created", br#"{"a":1}"#).unwrap();
        let (name, _) = files(folder.path(), "order.created").remove(0);
        assert!(name.starts_with('.') && name.ends_with(".part"), "{name}");
        archive.write("order.created", b"not JSON").unwrap();
        archive.write("order.failed", b"{}").unwrap();
        assert_eq!(archive.close_all().unwrap(), Written { records: 3, files: 2 });
        let (name, lines) = files(folder.path(), "order.created").remove(0);
        assert!(name.starts_with("order.created-1-20") && name.ends_with(".gz"), "{name}");
        assert_eq!(lines, "{\"a\":1}\nnot JSON\n");
    }

    #[test]
    fn a_file_is_closed_at_its_age_or_size_and_the_next_record_starts_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Files::open(folder.path()).unwrap();
        archive.write("order.created", b"{}").unwrap();
        archive.close_old().unwrap();
        archive.open.get_mut("order.created").unwrap().since -= MAX_AGE;
        archive.close_old().unwrap();
        archive.write("order.created", &vec![b' '; MAX_BYTES]).unwrap();
        archive.write("order.created", b"{}").unwrap();
        assert_eq!(archive.close_all().unwrap().files, 3);
        assert_eq!(files(folder.path(), "order.created").len(), 3);
    }
}
