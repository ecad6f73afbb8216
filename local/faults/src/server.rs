//! The HTTP server of a proxy.

use std::io;

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};

/// A proxy that cannot be started or configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open a port for the proxy")]
    Port(#[source] io::Error),
    #[error("cannot create the proxy's HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("the API key is not a valid header value")]
    Key,
}

/// Accepts connections until dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Port)?;
        let url = format!("http://{}", listener.local_addr().map_err(Error::Port)?);
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.ok();
        });
        Ok(Self { url, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
