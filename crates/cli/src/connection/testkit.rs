//! A service for tests, on a Unix socket of its own.

use std::fs;
use std::future::Future;
use std::path::PathBuf;

use tempfile::TempDir;
use transport::testkit::certificates::{TestIdentity, TestServer};
use transport::tls::ServerTls;
use transport::{Stream, Transport};
use transport_unix::UnixTransport;

use super::{Context, Service};
use crate::error::Error;

/// A place for a socket and a root certificate.
pub(crate) struct TestService {
    directory: TempDir,
    pub(crate) server: TestServer,
}

impl TestService {
    pub(crate) fn new() -> Self {
        let service =
            Self { directory: tempfile::tempdir().expect("a directory"), server: TestServer::generate() };
        service.publish(&service.server.root_pem());
        service
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn publish(&self, root: &str) {
        fs::write(self.path("root.pem"), root).expect("written");
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path("socket").display())
    }

    pub(crate) fn context(&self) -> Context {
        Context::at(&self.address(), self.path("root.pem"))
    }

    pub(crate) async fn connect(&self) -> Result<Service, Error> {
        Service::connect_as(&self.context(), TestIdentity::client().identity()).await
    }

    pub(crate) async fn refusal(&self) -> Error {
        match self.connect().await {
            Ok(_) => panic!("connected"),
            Err(error) => error,
        }
    }

    /// A service that completes one handshake and then does `answer`.
    pub(crate) async fn serve<F: Future<Output = ()> + Send>(
        &self,
        answer: impl FnOnce(Stream) -> F + Send + 'static,
    ) {
        self.serve_as(self.server.tls(), answer).await;
    }

    pub(crate) async fn serve_as<F: Future<Output = ()> + Send>(
        &self,
        tls: ServerTls,
        answer: impl FnOnce(Stream) -> F + Send + 'static,
    ) {
        let endpoint = self.context().endpoint().expect("an address");
        let mut listener = UnixTransport::default().listen(&endpoint, tls).await.expect("listening");
        tokio::spawn(async move {
            let incoming = listener.accept().await.expect("a client");
            if let Ok(mut connection) = incoming.handshake().await {
                answer(connection.next_stream().await.expect("a stream")).await;
            }
        });
    }
}
