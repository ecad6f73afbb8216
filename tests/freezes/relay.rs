//! A TCP relay whose idle connections can be broken, as servers and the network between break them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// The way in which an idle connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub(crate) enum Break {
    /// The server closes it.
    Close,
    /// The server closes its side, and ignores what still comes.
    HalfClose,
    /// A gateway forgets it, and answers the next packet with a reset.
    Forget,
    /// A gateway forgets it, and drops the next packets.
    Drop,
}

pub(crate) struct Relay {
    pub(crate) url: String,
    connections: Arc<Mutex<Vec<oneshot::Sender<Break>>>>,
}

impl Relay {
    /// Relays to the server of a URL without a path.
    pub(crate) async fn start(server: &str) -> Self {
        let server: SocketAddr =
            server.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let connections = Arc::<Mutex<Vec<oneshot::Sender<Break>>>>::default();
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (sender, broken) = oneshot::channel();
                accepted.lock().unwrap().push(sender);
                tokio::spawn(relay(client, server, broken));
            }
        });
        Self { url, connections }
    }

    /// Breaks every open connection; returns how many there were.
    pub(crate) fn break_all(&self, how: Break) -> usize {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        connections.into_iter().filter_map(|connection| connection.send(how).ok()).count()
    }
}

async fn relay(mut client: TcpStream, server: SocketAddr, broken: oneshot::Receiver<Break>) {
    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
    let how = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut upstream) => return,
        how = broken => how,
    };
    match how {
        Ok(Break::HalfClose) => {
            client.shutdown().await.ok();
            let mut ignored = [0; 1024];
            while client.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
        }
        // Closing a socket with unread bytes resets the connection.
        Ok(Break::Forget) => drop(client.readable().await),
        Ok(Break::Drop) => std::future::pending().await,
        Ok(Break::Close) | Err(_) => {}
    }
}
