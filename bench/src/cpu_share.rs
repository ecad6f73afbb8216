//! A limit on the processor time of measured processes: a control group with `cpu.max`.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const ROOT: &str = "/sys/fs/cgroup";
const PERIOD_US: u64 = 100_000;

/// Microseconds of processor time in each period of 100 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota(u64);

impl FromStr for Quota {
    type Err = String;

    /// Parses a share of one processor, such as `0.14`, without floating-point arithmetic.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text} is not a share of one processor, such as 0.14");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 5 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let whole: u64 = whole.parse().map_err(|_| invalid())?;
        let fraction: u64 = format!("{fraction:0<5}").parse().map_err(|_| invalid())?;
        let quota = whole.saturating_mul(PERIOD_US).saturating_add(fraction);
        // The kernel's minimum is 1 ms.
        if quota < 1_000 { Err(invalid()) } else { Ok(Self(quota)) }
    }
}

/// A control group of this run; removed when dropped, once its processes have ended.
#[derive(Debug)]
pub(crate) struct CpuShare {
    directory: PathBuf,
}

impl CpuShare {
    /// Creates the group.
    ///
    /// # Errors
    /// The reason why this machine cannot.
    pub(crate) fn create(quota: Quota) -> Result<Self, String> {
        let controllers = fs::read_to_string(Path::new(ROOT).join("cgroup.controllers"))
            .map_err(|_| format!("{ROOT} is not a cgroup v2 file system"))?;
        if !controllers.split_whitespace().any(|controller| controller == "cpu") {
            return Err("cgroup v2 has no cpu controller here".to_owned());
        }
        let share =
            Self { directory: Path::new(ROOT).join(format!("bench-{}", std::process::id())) };
        fs::create_dir(&share.directory).map_err(|error| error.to_string())?;
        fs::write(share.directory.join("cpu.max"), format!("{} {PERIOD_US}", quota.0))
            .map_err(|error| error.to_string())?;
        Ok(share)
    }

    /// The file that moves a process into the group.
    pub(crate) fn processes_file(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // Fails while a process is still ending; an empty group costs nothing.
        fs::remove_dir(&self.directory).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_becomes_microseconds_of_a_period() {
        assert_eq!("0.14".parse(), Ok(Quota(14_000)));
        assert_eq!("1".parse(), Ok(Quota(100_000)));
        assert_eq!("1.5".parse(), Ok(Quota(150_000)));
        for invalid in ["", "0", "0.001", "x", "0.1e1", "-1", "0.1234567"] {
            assert!(invalid.parse::<Quota>().is_err(), "{invalid}");
        }
    }
}
