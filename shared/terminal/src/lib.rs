//! Terminal output: printable text, tables, errors, exit codes.

mod arguments;
mod exit;
mod format;
mod output;
mod printable;

pub use arguments::{Parsed, UsageError, parse};
pub use exit::{ExitError, error_chain};
pub use format::{TABLE, grouped};
pub use output::Terminal;
pub use printable::{printable, printable_start};
