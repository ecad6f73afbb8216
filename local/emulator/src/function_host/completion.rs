//! The end of an invocation: a response, or the process at one of its limits.

use std::time::Duration;

use axum::body::Bytes;
use tokio::time::sleep_until;

use super::invoke_api::Failure;
use super::memory::Memory;
use super::process::Process;
use super::report::Status;
use super::runtime_api::Message;

pub(super) enum Completion {
    Returned(Bytes),
    Failed(Bytes),
    /// Has the exit status.
    Exited(String),
    TimedOut,
    OutOfMemory,
}

impl Completion {
    /// Waits for the completion of the invocation that the process has in flight.
    pub(super) async fn of(
        process: &mut Process,
        request_id: &str,
        (memory, limit_mb): (&mut Memory, u64),
    ) -> Self {
        let deadline = process.deadline;
        let exited = process.exited();
        let exceeded = memory.exceeds(limit_mb);
        tokio::pin!(exited, exceeded);
        loop {
            tokio::select! {
                biased;
                Some(message) = process.messages.recv() => match message {
                    Message::Returned { request_id: id, body } if id == request_id => {
                        return Self::Returned(body);
                    }
                    Message::Failed { request_id: id, body } if id == request_id => {
                        return Self::Failed(body);
                    }
                    _ => {}
                },
                status = &mut exited => return Self::Exited(status),
                () = &mut exceeded => return Self::OutOfMemory,
                () = sleep_until(deadline) => return Self::TimedOut,
            }
        }
    }

    pub(super) const fn ends_process(&self) -> bool {
        !matches!(self, Self::Returned(_) | Self::Failed(_))
    }

    pub(super) const fn status(&self) -> Status {
        match self {
            Self::Returned(_) => Status::Success,
            Self::TimedOut => Status::Timeout,
            Self::Failed(_) | Self::Exited(_) | Self::OutOfMemory => Status::Error,
        }
    }

    /// As Lambda responds to the caller.
    pub(super) fn into_response(
        self,
        request_id: &str,
        timeout: Duration,
    ) -> Result<Bytes, Failure> {
        match self {
            Self::Returned(body) => Ok(body),
            Self::Failed(body) => Err(Failure(body)),
            Self::Exited(status) => Err(Failure::exited(request_id, &status)),
            Self::TimedOut => Err(Failure::timed_out(request_id, timeout)),
            Self::OutOfMemory => Err(Failure::exited(request_id, "signal: killed")),
        }
    }
}
