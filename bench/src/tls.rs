//! A TLS proxy in front of the database, as in AWS, with its own certificate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{BenchError, Context, Result};

/// The variables that name a file of trusted certificates: the Rust SDK (rustls-native-certs) and
/// OpenSSL read the first, boto3 the second, Node.js the third.
const TRUST_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// Terminates TLS and forwards to a plaintext server; ends when dropped.
pub(crate) struct TlsProxy {
    url: String,
    certificate: PathBuf,
    server: JoinHandle<()>,
}

impl TlsProxy {
    pub(crate) async fn start(endpoint: &str) -> Result<Self> {
        let upstream = address(endpoint)?;
        let directory = std::env::temp_dir();
        let file = |kind| directory.join(format!("bench-{}-{kind}.pem", std::process::id()));
        let (certificate, key) = (file("certificate"), file("key"));
        make_certificate(&certificate, &key).await?;
        let failed = "cannot read the certificate for --tls";
        let chain = CertificateDer::from_pem_file(&certificate).context(failed)?;
        let private_key = PrivateKeyDer::from_pem_file(&key).context(failed)?;
        std::fs::remove_file(&key).ok();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .context("cannot set up TLS")?
            .with_no_client_auth()
            .with_single_cert(vec![chain], private_key)
            .context("cannot set up TLS")?;
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("cannot start the TLS proxy")?;
        let port = listener.local_addr().context("cannot start the TLS proxy")?.port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = tokio::spawn(serve(listener, acceptor, upstream));
        Ok(Self { url: format!("https://127.0.0.1:{port}"), certificate, server })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The variables by which measured processes trust the certificate.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let certificate = self.certificate.display().to_string();
        TRUST_VARIABLES.into_iter().map(move |name| (name.to_owned(), certificate.clone()))
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.server.abort();
        std::fs::remove_file(&self.certificate).ok();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, upstream: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            stream.set_nodelay(true).ok();
            // A failed handshake is the client's error.
            let Ok(mut client) = acceptor.accept(stream).await else { return };
            let Ok(mut server) = TcpStream::connect(upstream).await else { return };
            server.set_nodelay(true).ok();
            copy_bidirectional(&mut client, &mut server).await.ok();
        });
    }
}

/// Creates a certificate for this machine, valid for a day.
async fn make_certificate(certificate: &Path, key: &Path) -> Result<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "1", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        // Clients accept a server certificate as a trust anchor only if it is not a CA's.
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
        .arg(certificate)
        .arg("-keyout")
        .arg(key)
        .output()
        .await
        .context("cannot create a certificate for --tls with openssl (install openssl)")?;
    if made.status.success() {
        return Ok(());
    }
    let cause = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    Err(BenchError::Invalid(format!("cannot create a certificate for --tls: openssl: {cause}")))
}

/// The address of a plaintext URL.
fn address(endpoint: &str) -> Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let host = endpoint.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
    let address = host.and_then(|host| host.to_socket_addrs().ok()?.next());
    address.ok_or_else(|| {
        BenchError::Invalid(format!(
            "cannot put TLS before {endpoint}: it is not a plaintext URL (write http://host:port)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plaintext_servers_get_tls() {
        assert_eq!(address("http://127.0.0.1:8000/").unwrap().port(), 8000);
        assert!(address("https://127.0.0.1:8000").is_err());
    }
}
