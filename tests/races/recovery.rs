//! The recovery, over and over.

use std::time::Duration;

use tokio::task::JoinHandle;
use workflow_tests::{recovery::Recovery, world::World};

const PAUSE: Duration = Duration::from_millis(300);

/// Recovers every order, over and over.
pub(crate) struct Recoveries(JoinHandle<()>);

impl Recoveries {
    pub(crate) fn start(world: &World) -> Self {
        let recovery = Recovery::of(world);
        Self(tokio::spawn(async move {
            loop {
                recovery.run().await;
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }

    pub(crate) fn stop(self) {
        assert!(!self.0.is_finished(), "the recovery has failed");
        self.0.abort();
    }
}
