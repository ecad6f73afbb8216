//! The absence of the embedded broker, and the start of child processes beside it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use super::Broker;

/// The broker of the embedded cluster.
const BROKER: i32 = 1;
/// A child takes milliseconds to execute its program; on a busy machine, seconds.
const EXEC_TIMEOUT: Duration = Duration::from_secs(15);
/// The descriptors of the standard files, which a child may inherit although they are sockets.
const STANDARD_FILES: [&str; 3] = ["0", "1", "2"];

/// An outage closes the broker's listener and binds its port anew at once, and librdkafka aborts if
/// that fails. Until it has executed its program, a child process holds a copy of the listener, so no
/// process starts meanwhile.
static LISTENER: RwLock<()> = RwLock::new(());

/// The embedded broker is away until this is dropped: its connections are closed and new ones are
/// refused. What it has kept is still there afterwards.
#[must_use]
pub struct Outage<'a>(&'a Broker);

impl Broker {
    /// Takes the embedded broker away; `None` for an external one.
    pub fn outage(&self) -> Option<Outage<'_>> {
        let cluster = self.mock()?;
        let _no_start = LISTENER.write().unwrap_or_else(PoisonError::into_inner);
        match cluster.broker_down(BROKER) {
            Ok(()) => Some(Outage(self)),
            Err(error) => {
                tracing::error!(%error, "cannot take the embedded broker away");
                None
            }
        }
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.mock().map(|cluster| cluster.broker_up(BROKER)) {
            tracing::error!(%error, "cannot start the embedded broker again");
        }
    }
}

/// A child process that has just started.
pub trait Started {
    fn process_id(&self) -> Option<u32>;
}

impl Started for std::process::Child {
    fn process_id(&self) -> Option<u32> {
        Some(self.id())
    }
}

impl Started for tokio::process::Child {
    fn process_id(&self) -> Option<u32> {
        self.id()
    }
}

/// Starts a child process in a program that has an embedded broker.
///
/// The child inherits the standard three files, and no socket that was open before: the broker does
/// not mark the connections that it accepts as close-on-exec, and their clients would wait for the
/// child after the broker has closed them.
///
/// # Errors
/// Those of `start`.
pub fn spawn<Child: Started>(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    let _no_outage = LISTENER.read().unwrap_or_else(PoisonError::into_inner);
    // Not those that the broker accepts from now on: the child may keep them.
    let own = sockets("self");
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let child = start()?;
    wait_for_exec(&child, &own);
    Ok(child)
}

/// Waits until the child has none of these sockets of this program. Linux continues the parent of a
/// child that executes a program before it closes the files of the child.
fn wait_for_exec(child: &impl Started, own: &BTreeSet<PathBuf>) {
    let Some(id) = child.process_id() else { return };
    let deadline = Instant::now() + EXEC_TIMEOUT;
    while !own.is_disjoint(&sockets(&id.to_string())) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The sockets that a process has open, besides its standard files; none where there is no `/proc`.
fn sockets(process: &str) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let files = files.filter(|file| STANDARD_FILES.iter().all(|name| file.file_name() != *name));
    let links = files.filter_map(|file| fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).collect()
}
