//! Lists dead letters and redrives them: publishes their records on their topics again.
//!
//! A record is published as it is on its topic, whatever its dead letter contains, and once: a
//! receipt on the dead-letter topic marks it as redriven (`a_second_redrive_changes_nothing`). If a
//! run ends between a record and its receipt, the next run publishes the record once more. The
//! stages' rows absorb it, as any redelivery: `every_stage_fed_twice_changes_nothing`.
//!
//! Two programs: [`command_line`] for a terminal, [`function`] for the network of the brokers.

mod arguments;
mod brokers;
mod cluster;
pub mod command_line;
mod commands;
mod dead_letter;
mod format;
pub mod function;
mod list_report;
mod message;
mod options;
mod origins;
mod outcome;
mod position;
mod reader;
mod receipt;
mod record;
mod redrive;
mod report;
mod run_report;
mod selection;
mod since;
mod table;
mod topic;
mod warnings;
mod writer;
