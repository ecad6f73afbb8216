//! How is a running mapping watched and paused by those who do not own it?

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{MappingCounts, Shared};
use crate::template::Mapping;

/// A handle on a running mapping; clones are handles on the same one.
#[derive(Clone)]
pub struct MappingHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) paused: watch::Sender<bool>,
}

impl MappingHandle {
    /// What the template declares.
    #[must_use]
    pub fn declaration(&self) -> &Mapping {
        &self.shared.mapping
    }

    /// The running counts.
    #[must_use]
    pub fn counts(&self) -> &MappingCounts {
        &self.shared.counts
    }

    /// Invokes no more until [`Self::resume`]; invocations under way go on.
    ///
    /// Records stay on the topic and offsets where they are:
    /// `a_paused_mapping_invokes_nothing_and_then_goes_on_where_it_stopped`.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// The partitions that cannot be read just now, each with the reason.
    ///
    /// Their records wait, and no other partition waits for them.
    #[must_use]
    pub fn unreadable(&self) -> BTreeMap<i32, String> {
        self.shared.unreadable.snapshot()
    }

    /// The offset before which each partition is done with, where that is known.
    ///
    /// It is not for a partition that is read from its beginning, before its first record is done.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        self.shared.offsets.positions()
    }
}
