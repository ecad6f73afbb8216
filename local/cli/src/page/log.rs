//! The last lines of a function's log, bounded in lines and in bytes.
//!
//! A full log is renamed to `NAME.log.1`: then the last lines begin there.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;
use terminal::{printable, printable_start};

const MAX_LINES: usize = 200;
const MAX_LINE_BYTES: usize = 4 * 1024;
/// The part of the log that is read, from its end.
const MAX_READ_BYTES: u64 = 256 * 1024;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogTail {
    file: String,
    /// Bytes of the log before the first line.
    omitted_bytes: u64,
    /// Without control characters; a long line is cut.
    lines: Vec<String>,
}

/// Reads the end of a log. Blocks.
pub(super) fn tail(path: &Path) -> io::Result<LogTail> {
    let (start, mut bytes) = end(path, MAX_READ_BYTES)?;
    let room = MAX_READ_BYTES.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    // Only a log that was full has an older part.
    let (before, mut older) = end(&path.with_added_extension("1"), room).unwrap_or_default();
    older.append(&mut bytes);
    let (start, bytes) = (start.saturating_add(before), older);
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    // The first line may have begun before the part that is read.
    let partial = usize::from(start > 0 && lines.len() > 1);
    let omitted = lines.len().saturating_sub(MAX_LINES).max(partial);
    let before: usize = lines.drain(..omitted).map(<[u8]>::len).sum();
    Ok(LogTail {
        file: printable(&path.display().to_string()),
        omitted_bytes: start.saturating_add(u64::try_from(before).unwrap_or(u64::MAX)),
        lines: lines.into_iter().map(|line| printable_start(line, MAX_LINE_BYTES)).collect(),
    })
}

/// The last bytes of a file, and the number of those before them.
fn end(path: &Path, max: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(max);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok((start, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(content: &[u8]) -> LogTail {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greeter.log");
        std::fs::write(&path, content).unwrap();
        tail(&path).unwrap()
    }

    #[test]
    fn a_short_log_is_whole() {
        let log = tail_of(b"one\ntwo\nthr");
        assert_eq!(log.lines, ["one", "two", "thr"]);
        assert_eq!(log.omitted_bytes, 0);
        assert!(log.file.ends_with("greeter.log"));
        assert!(tail_of(b"").lines.is_empty());
    }

    #[test]
    fn the_last_lines_of_a_log_that_was_full_begin_in_its_older_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greeter.log");
        let lines = |numbers: std::ops::Range<u32>| {
            numbers.map(|number| format!("line {number:05}\n")).collect::<String>()
        };
        std::fs::write(path.with_added_extension("1"), lines(0..50_000)).unwrap();
        std::fs::write(&path, lines(50_000..50_010)).unwrap();
        let log = tail(&path).unwrap();
        assert_eq!(log.lines.len(), MAX_LINES);
        assert_eq!((log.lines[0].as_str(), log.omitted_bytes), ("line 49810", 49_810 * 11));
        assert_eq!(log.lines[MAX_LINES - 1], "line 50009");
    }

    #[test]
    fn a_long_log_is_cut_in_lines() {
        let content: String = (0..500).map(|number| format!("line {number:03}\n")).collect();
        let log = tail_of(content.as_bytes());
        assert_eq!(log.lines.len(), MAX_LINES);
        assert_eq!((log.lines[0].as_str(), log.omitted_bytes), ("line 300", 300 * 9));
        assert_eq!(log.lines[MAX_LINES - 1], "line 499");
    }

    #[test]
    fn a_log_of_long_lines_is_cut_in_bytes() {
        let content = format!("{}\n", "x".repeat(100_000)).repeat(20);
        let log = tail_of(content.as_bytes());
        assert_eq!(log.lines.len(), 2, "of the part that is read, only whole lines");
        assert!(log.lines[0].len() < MAX_LINE_BYTES + 30);
        assert!(log.lines[0].ends_with("x… (95905 bytes more)"), "{}", &log.lines[0][4_000..]);
        assert_eq!(log.omitted_bytes, 18 * 100_001);
        let one = tail_of("x".repeat(1_000_000).as_bytes());
        assert_eq!(one.lines.len(), 1);
    }

    #[test]
    fn control_characters_are_replaced() {
        let log = tail_of(b"a\x1b[2Jb\xff\r\n\xe2\x80\xaec\n");
        assert_eq!(log.lines, ["a\u{fffd}[2Jb\u{fffd}", "\u{fffd}c"]);
    }
}
