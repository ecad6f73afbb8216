//! Proxies that inject faults: between the functions and DynamoDB, and in front of an HTTP provider.
//!
//! Requests are forwarded with their headers, including the signature, which the server must not
//! verify.

pub mod database_proxy;
pub mod item_limit;
pub mod lossy_proxy;
mod server;
mod upstream;

pub use server::Error;
