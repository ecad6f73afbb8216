//! A shared handle to observe and pause a running mapping.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{MappingCounts, Shared};
use crate::template::Mapping;

/// Clones refer to the same mapping.
#[derive(Clone)]
pub struct MappingHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) paused: watch::Sender<bool>,
}

impl MappingHandle {
    /// The mapping as declared in the template.
    #[must_use]
    pub fn declaration(&self) -> &Mapping {
        &self.shared.mapping
    }

    #[must_use]
    pub fn counts(&self) -> &MappingCounts {
        &self.shared.counts
    }

    /// Stops invoking until [`Self::resume`]. Invocations in flight continue.
    ///
    /// Records stay on the topic, and offsets do not move:
    /// `a_paused_mapping_invokes_nothing_and_then_goes_on_where_it_stopped`.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Continues after [`Self::pause`].
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// The partitions that currently cannot be read, each with the reason.
    ///
    /// Their records wait; other partitions continue.
    #[must_use]
    pub fn unreadable(&self) -> BTreeMap<i32, String> {
        self.shared.unreadable.snapshot()
    }

    /// By partition, the next offset to finish.
    ///
    /// Absent for a partition that is read from its beginning, until its first record is finished.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        self.shared.offsets.positions()
    }
}
