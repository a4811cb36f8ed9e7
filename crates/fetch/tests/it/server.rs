//! A server that says what it is told to say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch::{Client, Limits};
use rcgen::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server on a port of its own. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// What a server says, by the path that it is asked for; then it closes the connection, or keeps silent.
pub(crate) type Say = fn(path: &str) -> (Vec<u8>, Then);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    Silence,
}

impl Server {
    pub(crate) async fn start(say: Say) -> Self {
        Self::run(say, None).await
    }

    /// One that speaks TLS, and its certificate, which is its own authority.
    pub(crate) async fn start_tls(say: Say) -> (Self, Certificate) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        (Self::run(say, Some(TlsAcceptor::from(Arc::new(config)))).await, certificate)
    }

    async fn run(say: Say, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (seen, tls) = (Arc::clone(&seen), tls.clone());
                // Each ends with the server.
                kept.push(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
                    match tls {
                        None => serve(tcp, say, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                serve(stream, say, &seen).await;
                            }
                        }
                    }
                })));
            }
        });
        Self { port, requests, task }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, say: Say, seen: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(request);
    let (bytes, then) = say(&path);
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    match then {
        Then::Close => drop(stream.shutdown().await),
        Then::Silence => std::future::pending().await,
    }
}

pub(crate) const LIMITS: Limits =
    Limits { connect: Duration::from_secs(30), stall: Duration::from_secs(30), redirects: 3 };

/// A client that trusts this authority alone.
pub(crate) fn trusting(authority: &Certificate) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    Client::trusting(roots, LIMITS).unwrap()
}

/// One that trusts nobody: for http.
pub(crate) fn client(limits: Limits) -> Client {
    Client::trusting(RootCertStore::empty(), limits).unwrap()
}
