//! Starts the stack for whoever wants one, and says where everything is.

use axum::Router;
use local::stack::{Stack, StackOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::fault::Fault;
use crate::terminal::Terminal;

/// Starts the stack, with whatever is put in `front` of its HTTP API, and says where everything is.
///
/// A signal in between ends it.
pub(crate) async fn stack(
    options: StackOptions,
    front: impl FnOnce(Router) -> Router,
    terminal: &Terminal,
) -> Result<Stack, Fault> {
    if options.lambda.is_none() && options.function_dir.is_none() {
        terminal.say("Building the functions that template.yaml names …");
    }
    let log_dir = options.log_dir.clone();
    let (kafka, dynamodb) = (kind(options.kafka.as_ref()), kind(options.dynamodb.as_ref()));
    let stack = tokio::select! {
        stack = Box::pin(Stack::start_behind(options, front)) => stack.map_err(Fault::start)?,
        interrupted = interrupted() => return Err(interrupted.err().unwrap_or(Fault::Interrupted)),
    };
    let logs = match stack.functions {
        Some(_) => format!("logs in {}", log_dir.display()),
        None => "hosted elsewhere".to_owned(),
    };
    terminal.say("");
    terminal.say(&format!("Order API   {}", stack.api_url().unwrap_or_default()));
    terminal.say(&format!("Kafka       {}   {kafka}", stack.broker.bootstrap_servers()));
    terminal.say(&format!("DynamoDB    {}   {dynamodb}", stack.database.endpoint()));
    terminal.say(&format!("Functions   {}   {logs}", stack.invoke_url()));
    terminal.say("");
    Ok(stack)
}

fn kind(outside: Option<&String>) -> &'static str {
    outside.map_or("embedded", |_| "as given")
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() -> Result<(), Fault> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::run)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Fault::run)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
