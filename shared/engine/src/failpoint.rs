//! Points at which the crash matrix (`tests/crashes`) kills a process.
//!
//! Only builds with debug assertions have them: in a release build [`reach`] is empty, and
//! `scripts/check-failpoints` finds neither names nor code. A point does nothing unless `FAILPOINTS`
//! names it, with an action of the crate `fail`: `failpoint/after-insert=2*off->return` kills the
//! process at the third passage.

/// A step of a stage, in the order of the pipeline.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case", prefix = "failpoint/")]
pub enum Point {
    BeforeLookUp,
    AfterLookUp,
    BeforeDecision,
    /// Before a request to a provider.
    BeforeCall,
    /// The provider has responded.
    AfterCall,
    AfterDecision,
    BeforeInsert,
    AfterInsert,
    BeforeTransaction,
    AfterTransaction,
    /// Before a stage undoes its calls outside.
    BeforeUndo,
    AfterUndo,
    BeforeEnqueue,
    /// The event is in the client's queue.
    AfterEnqueue,
    /// The broker has confirmed the event.
    AfterDelivery,
    BeforeResponse,
}

/// Marks a point; kills the process with SIGKILL if `FAILPOINTS` says so.
#[cfg(debug_assertions)]
pub fn reach(point: Point) {
    static CONFIGURED: std::sync::Once = std::sync::Once::new();
    // The scenario lasts as long as the process.
    CONFIGURED.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    fail::fail_point!(point.into(), |_| kill_at(point));
}

/// Marks a point.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn reach(_: Point) {}

#[cfg(debug_assertions)]
#[expect(clippy::print_stderr, reason = "the log of a killed process would be lost")]
fn kill_at(point: Point) {
    use rustix::process::{Signal, getpid, kill_process};

    eprintln!("killed at {point}");
    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        eprintln!("{point}: not killed: {error}");
    }
}
