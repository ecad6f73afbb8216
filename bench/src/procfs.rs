//! Processor time, peak memory and connections of a process, from `/proc`.

use std::collections::HashSet;
use std::fs;

use crate::error::{BenchError, Context, Result};

/// One tick at `USER_HZ` 100, the value on all of Lambda's architectures.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;
const ESTABLISHED: &str = "01";

/// Processor time of a process so far, in nanoseconds.
///
/// The larger of two lower bounds: ticks are rounded down to 10 ms, and the scheduler's figures
/// omit ended threads.
pub(crate) fn processor_time_ns(process_id: u32) -> Result<u64> {
    let path = format!("/proc/{process_id}/stat");
    let stat = fs::read_to_string(&path).context(format!("cannot read {path}"))?;
    let ticks = ticks(&stat)
        .ok_or_else(|| BenchError::Invalid(format!("cannot read {path}: utime is missing")))?;
    let threads = fs::read_dir(format!("/proc/{process_id}/task")).into_iter().flatten();
    let scheduled = threads.flatten().filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(scheduled.sum::<u64>().max(ticks.saturating_mul(NANOSECONDS_PER_TICK)))
}

/// `utime + stime` of `/proc/PID/stat`.
fn ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may itself contain blanks and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Peak resident set so far, in kilobytes.
pub(crate) fn peak_memory_kb(process_id: u32) -> Result<u64> {
    let path = format!("/proc/{process_id}/status");
    let status = fs::read_to_string(&path).context(format!("cannot read {path}"))?;
    peak(&status)
        .ok_or_else(|| BenchError::Invalid(format!("cannot read {path}: VmHWM is missing")))
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Open connections of a process to a port.
pub(crate) fn connections(process_id: u32, port: u16) -> u64 {
    let files = fs::read_dir(format!("/proc/{process_id}/fd")).into_iter().flatten().flatten();
    let own: HashSet<String> = files
        .filter_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{process_id}/net/{table}")).ok())
        .map(|table| connected_to(&table, port, &own))
        .sum()
}

/// The connections to the port in a table of `/proc/PID/net`, among some sockets.
fn connected_to(table: &str, port: u16, sockets: &HashSet<String>) -> u64 {
    let remote_port = format!(":{port:04X}");
    let leads_there = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|remote| remote.ends_with(&remote_port))
            && fields.next() == Some(ESTABLISHED)
            && fields.nth(5).is_some_and(|inode| sockets.contains(inode))
    };
    u64::try_from(table.lines().skip(1).filter(leads_there).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 3 0 100 1 1";
        assert_eq!(ticks(stat), Some(22));
        assert_eq!(ticks("42"), None);
    }

    #[test]
    fn the_peak_is_found_among_the_other_lines() {
        assert_eq!(peak("VmPeak:\t  9 kB\nVmHWM:\t   14236 kB\n"), Some(14_236));
        assert_eq!(peak("VmPeak:\t  9 kB\n"), None);
    }

    #[test]
    fn only_own_established_connections_to_the_port_count() {
        let table = "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n\
            0: 0100007F:9C40 0100007F:1F90 01 0:0 00:0 0 0 0 777 1\n\
            1: 0100007F:9C41 0100007F:1F90 06 0:0 00:0 0 0 0 778 1\n\
            2: 0100007F:9C42 0100007F:1F91 01 0:0 00:0 0 0 0 779 1\n\
            3: 0100007F:9C43 0100007F:1F90 01 0:0 00:0 0 0 0 999 1\n";
        let own = ["777", "778", "779"].map(str::to_owned).into();
        assert_eq!(connected_to(table, 0x1F90, &own), 1);
    }

    #[test]
    fn this_process_has_used_processor_time_and_memory() {
        let process_id = std::process::id();
        assert!(processor_time_ns(process_id).unwrap() > 0);
        assert!(peak_memory_kb(process_id).unwrap() > 0);
    }
}
