//! The peak of the process's resident memory while a target runs; Linux only.

use std::fs;

/// Runs this; gives by how many bytes the resident memory rose meanwhile, at its peak. Memory that
/// the allocator had kept does not count. `None` where the kernel does not tell.
pub(crate) fn growth(run: impl FnOnce()) -> Option<usize> {
    // Resets the peak to the present: proc(5).
    let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status_kb("VmRSS:");
    run();
    let peak = status_kb("VmHWM:")?;
    before.filter(|_| is_reset).map(|before| peak.saturating_sub(before) * 1024)
}

fn status_kb(name: &str) -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}
