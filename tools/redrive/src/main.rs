//! `redrive`, the command. Exit codes: 0 success, 1 a record needs attention, 2 it could not start.

use std::process::ExitCode;

use jiff::Timestamp;
use terminal::Terminal;

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    terminal.exit_code(redrive::command_line::run(&terminal, Timestamp::now).await)
}
