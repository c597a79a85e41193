//! TLS: whom a client trusts, for requests and WebSockets alike. No provider of the process is set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::{Client, Error, Options};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Speaks TLS as `localhost`: tells the time, or opens a WebSocket.
struct Server {
    address: String,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let certificate = CertificateDer::from_pem_file(key("test-localhost.pem")).unwrap();
        let secret = PrivateKeyDer::from_pem_file(key("test-localhost-key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], secret)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut talks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tls = tls.clone();
                talks.spawn(async move {
                    // A client that does not trust it hangs up.
                    let _ = talk(tls, stream).await;
                });
            }
        });
        Self { address, _serving: serving }
    }

    /// A client of it that trusts these certificates beside the public ones.
    fn client(&self, ca_file: Option<PathBuf>) -> Result<Client, Error> {
        let mut options = Options::new(self.address.parse().unwrap());
        options.ca_file = ca_file;
        Client::new(options)
    }
}

fn key(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(file)
}

async fn talk(tls: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = tls.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let field = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.to_owned())
    };
    let answer = match head.lines().find_map(field) {
        Some(key) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: dibs.v1\r\n\r\n",
            derive_accept_key(key.as_bytes())
        ),
        None => "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"now\":123}"
            .to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

#[tokio::test]
async fn certificates_of_the_options_are_trusted_for_requests_and_web_sockets() {
    let server = Server::start().await;
    let client = server.client(Some(key("test-root.pem"))).unwrap();
    assert!(client.clock().await.is_ok());
    assert!(client.socket().await.is_ok());
}

#[tokio::test]
async fn a_certificate_of_nobody_is_not_trusted() {
    let server = Server::start().await;
    let client = server.client(None).unwrap();
    for error in [client.clock().await.unwrap_err(), client.socket().await.map(|_| ()).unwrap_err()]
    {
        assert!(matches!(error, Error::NotKnown { why: "no connection", .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_named_before_anything_is_sent() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty, folder.path().join("missing.pem"), key("test-localhost-key.pem")] {
        let error = server.client(Some(file.clone())).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    for address in [
        "ftp://dibs.example.com",
        "data:x",
        "https://ada:secret@dibs.example.com",
        "http://dibs.example.com/?q",
        "http://dibs.example.com/#here",
    ] {
        let refused = Client::new(Options::new(address.parse().unwrap())).map(|_| ()).unwrap_err();
        assert!(matches!(&refused, Error::Setup(_)), "{refused:?}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}
