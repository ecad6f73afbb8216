//! Starts a process and waits until it is ready for events.

use std::time::Duration;

use axum::body::Bytes;
use tokio::time::timeout;

use super::failure::Failure;
use super::process::{Message, Process};
use super::processes::Processes;

/// Limit for a process to request its first event.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a process did not start.
pub(super) enum StartFailure {
    /// Its error, as posted to the Runtime API.
    Reported(Bytes),
    /// Its exit status and last warnings.
    Exited(String),
}

impl StartFailure {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Reported(body) => String::from_utf8_lossy(body).into_owned(),
            Self::Exited(status) => status.clone(),
        }
    }

    pub(super) fn into_failure(self, request_id: &str) -> Failure {
        match self {
            Self::Reported(body) => Failure(body),
            Self::Exited(status) => Failure::exited(request_id, &status),
        }
    }
}

/// Starts a process of the function and waits until it requests its first event.
pub(super) async fn process(processes: &Processes) -> Result<Process, StartFailure> {
    let mut process = processes.start().map_err(|error| {
        let executable = processes.function.executable.display();
        StartFailure::Exited(format!("cannot run {executable}: {error}"))
    })?;
    let ready = timeout(READY_TIMEOUT, first_message(&mut process)).await;
    let failure = match ready {
        Ok(Ok(())) => return Ok(process),
        Ok(Err(failure)) => failure,
        Err(_) => StartFailure::Exited(format!(
            "it requested no event within {} s",
            READY_TIMEOUT.as_secs()
        )),
    };
    processes.end(process.number).await;
    Err(match failure {
        StartFailure::Exited(status) => {
            let warnings = processes.log.take_warning_tail();
            StartFailure::Exited(format!("{status}\n{warnings}").trim_end().to_owned())
        }
        reported @ StartFailure::Reported(_) => reported,
    })
}

/// Waits until the process requests an event, reports an error or exits.
async fn first_message(process: &mut Process) -> Result<(), StartFailure> {
    let exited = process.exited();
    tokio::pin!(exited);
    loop {
        tokio::select! {
            biased;
            Some(message) = process.messages.recv() => match message {
                Message::Ready => return Ok(()),
                Message::InitFailed { body } => return Err(StartFailure::Reported(body)),
                Message::Returned { .. } | Message::Failed { .. } => {}
            },
            status = &mut exited => return Err(StartFailure::Exited(status)),
        }
    }
}
