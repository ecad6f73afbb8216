//! Raises the limit of open files, starts the stack and prints its addresses.

use axum::Router;
use emulator::stack::{Stack, StackOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use terminal::ExitError;
use terminal::Terminal;

use crate::signals::Signals;

/// A demo has 450 files open, sockets and pipes; the default limit of macOS is 256.
const MIN_OPEN_FILES: u64 = 512;
/// For more processes and browsers.
const WANTED_OPEN_FILES: u64 = 4_096;

/// Raises the limit of open files, for this program and the functions, as far as the system allows.
fn raise_open_files() -> Result<(), ExitError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = maximum.map_or(WANTED_OPEN_FILES, |maximum| maximum.min(WANTED_OPEN_FILES));
    if current.is_none_or(|current| current >= allowed.max(MIN_OPEN_FILES)) {
        return Ok(());
    }
    if allowed < MIN_OPEN_FILES {
        return Err(ExitError::Start(format!(
            "cannot open enough files: the limit is {allowed}, a run needs {MIN_OPEN_FILES} (raise \
             the hard limit of `ulimit -n`)"
        )));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum })
        .map_err(|error| ExitError::Start(format!("cannot raise the limit of open files: {error}")))
}

/// Starts the stack, with the routes of `front` before its HTTP API, and prints its addresses.
///
/// A signal interrupts the start.
pub(crate) async fn stack(
    options: StackOptions,
    front: impl FnOnce(Router) -> Router,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Stack, ExitError> {
    if options.lambda.is_none() && options.function_dir.is_none() {
        terminal.println("Building the functions that template.yaml names …");
    }
    raise_open_files()?;
    let log_dir = options.log_dir.clone();
    let (kafka, dynamodb) = (kind(options.kafka.as_ref()), kind(options.dynamodb.as_ref()));
    let stack = tokio::select! {
        stack = Box::pin(Stack::start_behind(options, front)) => stack.map_err(ExitError::start)?,
        () = signals.received(terminal) => return Err(ExitError::Interrupted),
    };
    let logs = match stack.functions {
        Some(_) => format!("logs in {}", log_dir.display()),
        None => "hosted elsewhere".to_owned(),
    };
    terminal.println("");
    terminal.println(&format!("Order API   {}", stack.api_url().unwrap_or_default()));
    terminal.println(&format!("Kafka       {}   {kafka}", stack.broker.bootstrap_servers()));
    terminal.println(&format!("DynamoDB    {}   {dynamodb}", stack.database.endpoint()));
    terminal.println(&format!("Functions   {}   {logs}", stack.invoke_url()));
    terminal.println("");
    Ok(stack)
}

fn kind(outside: Option<&String>) -> &'static str {
    outside.map_or("embedded", |_| "as given")
}
