//! The processes of all functions, for a program that exits without running destructors.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;
use tokio::process::{Child, Command};

use super::child::signal_group;
use crate::broker;

/// Each leads a group of its own.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spawns a process, which must be [`remove`]d after its exit.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut running = running();
    let child = broker::spawn(|| command.spawn())?;
    running.extend(child.id());
    Ok(child)
}

pub(super) fn remove(process_id: u32) {
    running().remove(&process_id);
}

/// Kills every process of every function, with its children. No further one starts, so the program
/// must exit.
pub fn kill_all() {
    let running = running();
    for id in running.iter() {
        signal_group(*id, Signal::KILL);
    }
    mem::forget(running);
}
