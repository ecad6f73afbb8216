//! Has a process started, or why does it never ask for an event?

use std::time::Duration;

use axum::body::Bytes;
use tokio::time::timeout;

use super::failure::Failure;
use super::process::{Message, Process};
use super::processes::Processes;

/// Longest that a process may take until it asks for its first event.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no process to hand an event to.
pub(super) enum StartFailure {
    /// It told the Runtime API why.
    Told(Bytes),
    /// It ended, in these words.
    Ended(String),
}

impl StartFailure {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Told(body) => String::from_utf8_lossy(body).into_owned(),
            Self::Ended(how) => how.clone(),
        }
    }

    pub(super) fn into_failure(self, request_id: &str) -> Failure {
        match self {
            Self::Told(body) => Failure(body),
            Self::Ended(how) => Failure::exited(request_id, &how),
        }
    }
}

/// Starts a process of the function and waits until it asks for its first event.
pub(super) async fn process(processes: &Processes) -> Result<Process, StartFailure> {
    let mut process = processes.start().map_err(|error| {
        let executable = processes.function.executable.display();
        StartFailure::Ended(format!("{executable} cannot be run: {error}"))
    })?;
    let ready = timeout(READY_WITHIN, first_message(&mut process)).await;
    let failure = match ready {
        Ok(Ok(())) => return Ok(process),
        Ok(Err(failure)) => failure,
        Err(_) => StartFailure::Ended(format!(
            "it asked for no event within {} s",
            READY_WITHIN.as_secs()
        )),
    };
    processes.end(process.number).await;
    Err(match failure {
        StartFailure::Ended(how) => {
            let words = processes.log.last_words();
            StartFailure::Ended(format!("{how}\n{words}").trim_end().to_owned())
        }
        told @ StartFailure::Told(_) => told,
    })
}

/// Waits until the process asks for an event, or tells or shows that it never will.
async fn first_message(process: &mut Process) -> Result<(), StartFailure> {
    let exited = process.exited();
    tokio::pin!(exited);
    loop {
        tokio::select! {
            biased;
            Some(message) = process.messages.recv() => match message {
                Message::Ready => return Ok(()),
                Message::InitFailed { body } => return Err(StartFailure::Told(body)),
                Message::Returned { .. } | Message::Failed { .. } => {}
            },
            how = &mut exited => return Err(StartFailure::Ended(how)),
        }
    }
}
