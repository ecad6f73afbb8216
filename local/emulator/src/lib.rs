//! Runs a SAM template on one machine: Kafka, DynamoDB, the Lambda functions and their triggers.
//!
//! One module for each part of AWS, named as AWS names it and usable without the others; [`stack`]
//! connects them as the template declares. The functions are the same binaries as in AWS. Nothing
//! here depends on their domain: `the_emulator_knows_nothing_of_orders`.
//!
//! Reading order: [`template`], [`stack`]; [`event_source_mapping`], [`http_api`] and [`schedule`],
//! which invoke the functions through [`invoke`]; [`function_host`]; [`broker`] and [`database`].

pub mod aws_settings;
mod backlog;
pub mod binaries;
pub mod broker;
pub mod database;
pub mod event_source_mapping;
pub mod filter_criteria;
pub mod function_host;
pub mod http_api;
pub mod invoke;
pub mod loopback;
pub mod schedule;
pub mod stack;
pub mod tap;
pub mod template;
