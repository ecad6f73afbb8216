//! Stages as processes of their functions, each case with a broker, a database proxy and providers
//! of its own, and the checks of rows, events and effects.
//!
//! Uses the binaries, the workflow table, topics and tables, but not the engine.

pub mod case;
pub mod delivery;
pub mod harness;
pub mod outcome;
pub mod process;
pub mod sns;
pub mod stripe;
pub mod subject;
pub mod topics;
pub mod upstream;
pub mod workflow;

use std::collections::HashMap;

use axum::Router;

/// Serves a stub of a provider; returns its URL.
async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("the stub serves") });
    url
}

/// The fields of a form or query.
fn form(encoded: &[u8]) -> HashMap<String, String> {
    let mut url = reqwest::Url::parse("http://127.0.0.1/").expect("a URL");
    url.set_query(std::str::from_utf8(encoded).ok());
    url.query_pairs().into_owned().collect()
}
