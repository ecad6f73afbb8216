//! Starts the stack and prints its addresses.

use axum::Router;
use emulator::stack::{Stack, StackOptions};
use tokio::signal::unix::{SignalKind, signal};

use terminal::ExitError;
use terminal::Terminal;

/// Starts the stack, with the routes of `front` before its HTTP API, and prints its addresses.
///
/// A signal interrupts the start.
pub(crate) async fn stack(
    options: StackOptions,
    front: impl FnOnce(Router) -> Router,
    terminal: &Terminal,
) -> Result<Stack, ExitError> {
    if options.lambda.is_none() && options.function_dir.is_none() {
        terminal.println("Building the functions that template.yaml names …");
    }
    let log_dir = options.log_dir.clone();
    let (kafka, dynamodb) = (kind(options.kafka.as_ref()), kind(options.dynamodb.as_ref()));
    let stack = tokio::select! {
        stack = Box::pin(Stack::start_behind(options, front)) => stack.map_err(ExitError::start)?,
        interrupted = interrupted() => return Err(interrupted.err().unwrap_or(ExitError::Interrupted)),
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

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() -> Result<(), ExitError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ExitError::run)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ExitError::run)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
