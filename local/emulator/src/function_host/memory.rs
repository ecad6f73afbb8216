//! Memory of a process, from `/proc`; unknown on a system without it.

use std::time::Duration;

use tokio::time::sleep;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Memory {
    process_id: u32,
    pub(super) peak_mb: Option<u64>,
}

impl Memory {
    pub(super) const fn of(process_id: u32) -> Self {
        Self { process_id, peak_mb: None }
    }

    /// Returns once the resident memory exceeds the limit.
    pub(super) async fn exceeds(&mut self, limit_mb: u64) {
        loop {
            sleep(POLL_INTERVAL).await;
            if self.sample().is_some_and(|resident_mb| resident_mb > limit_mb) {
                return;
            }
        }
    }

    /// Updates the peak, and returns the resident memory in MB.
    pub(super) fn sample(&mut self) -> Option<u64> {
        // A process that has exited has no such fields.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id)).ok()?;
        let megabytes = |field: &str| {
            let kilobytes = status.lines().find_map(|line| line.strip_prefix(field))?;
            Some(kilobytes.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.div_ceil(1024))
        };
        self.peak_mb = self.peak_mb.max(megabytes("VmHWM:"));
        megabytes("VmRSS:")
    }
}
