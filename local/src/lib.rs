//! What stands in for AWS when the order workflow runs on one machine?
//!
//! One module for each part of AWS, named as AWS names it and usable without the others; [`stack`]
//! puts them together as `template.yaml` says. The functions are the same binaries that run in
//! AWS, and learn nothing of where they are.

pub mod aws_settings;
pub mod binaries;
pub mod broker;
pub mod database;
pub mod event_source_mapping;
pub mod foreign_text;
pub mod function_host;
pub mod http_api;
pub mod invoke;
pub mod schedule;
pub mod stack;
pub mod tap;
pub mod template;
