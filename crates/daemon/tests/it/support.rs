//! A service in this process on a real Unix socket with real TLS, and clients of it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use auth_core::testkit::NoGate;
use auth_core::{Actor, Authority, Change, FirstClientRule, TrustStore};
use daemon::machines::{InstancesUnavailable, Machines};
use daemon::open_file::Opener;
use daemon::{Service, audit, serve, server_identity};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::rpc_client::RpcClient;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::tls::{CertificateDates, ClientTls, Identity, RootCertificate, ServerTls};
use transport::{Endpoint, Transport};
use transport_unix::UnixTransport;

/// What clients state as the service's authority.
pub(crate) const ORIGIN: &str = "https://localhost";

/// A running service; it ends with its runtime.
pub(crate) struct TestService {
    endpoint: Endpoint,
    root: RootCertificate,
    tls: ServerTls,
    /// Kept, for the service would take its end for the end of all news.
    trust_changed: watch::Sender<()>,
    store: Arc<dyn TrustStore>,
    stop: CancellationToken,
    directory: TempDir,
}

impl TestService {
    /// Serves with `store`; whoever runs the test is entitled to be the first client.
    pub(crate) async fn start(store: impl TrustStore + 'static) -> Self {
        let no_driver = InstancesUnavailable::NoDriver("the test needs none".into());
        Self::serving(store, Machines::none(no_driver)).await
    }

    /// As [`start`](Self::start), with instances.
    pub(crate) async fn serving(store: impl TrustStore + 'static, machines: Machines) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let published = directory.path().join("root.pem");
        let identity =
            server_identity::load_or_create(directory.path(), &published, SystemTime::now()).unwrap();
        let root = RootCertificate::from_pem(&std::fs::read(published).unwrap()).unwrap();
        let endpoint = Endpoint::Unix(directory.path().join("socket"));
        let tls = ServerTls::new(identity).unwrap();
        let listener = UnixTransport::default().listen(&endpoint, tls.clone()).await.unwrap();
        let rule = FirstClientRule { daemon_uid: daemon::platform::own_uid(), admin_gid: None };
        let records = audit::directory(directory.path()).unwrap();
        let recorder = Arc::new(audit::FileAudit::new(&records));
        let store: Arc<dyn TrustStore> = Arc::new(store);
        let authority = Authority::new(Arc::clone(&store), Box::new(NoGate), rule, recorder);
        let (refusals, writer) = audit::refusals(&records);
        let (trust_changed, trust_changes) = watch::channel(());
        let data = directory.path().to_owned();
        let service = Service::new(authority, data, refusals, trust_changes, machines);
        let service = Arc::new(service.with_opener(Opener::with(env!("CARGO_BIN_EXE_multipassd").into())));
        let stop = CancellationToken::new();
        tokio::spawn(writer.run(stop.clone()));
        tokio::spawn(serve(vec![listener], service, stop.clone()));
        Self { endpoint, root, tls, trust_changed, store, stop, directory }
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Ends the trust in everybody.
    pub(crate) fn revoke_all(&self) {
        for client in self.store.clients().unwrap() {
            let (by, at) = (Actor::Administrator, SystemTime::now());
            let revoke = Change::Revoke { client: client.fingerprint, by, at };
            self.store.change(&revoke, &mut || Ok(())).unwrap();
        }
        self.trust_changed.send_replace(());
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Where it has published its root certificate.
    pub(crate) fn published(&self) -> PathBuf {
        self.data().join("root.pem")
    }

    /// What it presents itself by.
    pub(crate) fn tls(&self) -> ServerTls {
        self.tls.clone()
    }

    /// The certificate, DER, that it presents to who connects now and trusts its root.
    pub(crate) async fn presents(&self) -> Vec<u8> {
        let tls = ClientTls::new(self.root.clone(), CertificateDates::Ignored, None).unwrap();
        let connection = UnixTransport::default().dial(&self.endpoint, tls).await.unwrap();
        connection.peer().certificate.as_ref().expect("the server's certificate").der().to_vec()
    }

    /// A new client with an identity of its own, connected and its handshake finished.
    pub(crate) async fn client(&self) -> RpcClient<TestConnection> {
        RpcClient::with_origin(self.connection().await, http::Uri::from_static(ORIGIN))
    }

    /// As [`client`](Self::client), for whatever service.
    pub(crate) async fn connection(&self) -> TestConnection {
        TestConnection::to(&UnixTransport::default(), &self.endpoint, self.client_tls()).await
    }

    /// As [`connection`](Self::connection), by that identity, which lets through only so many bytes of a reply that
    /// it has not read.
    pub(crate) async fn narrow_connection(&self, tls: ClientTls, window: u32) -> TestConnection {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.initial_stream_window_size(window);
        TestConnection::by(&http, &UnixTransport::default(), &self.endpoint, tls).await
    }

    /// A new client's.
    pub(crate) fn client_tls(&self) -> ClientTls {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap().pem();
        let identity = Identity::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        ClientTls::new(self.root.clone(), CertificateDates::Enforced, Some(identity)).unwrap()
    }
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An HTTP/2 connection as the generated client wants it.
#[derive(Clone)]
pub(crate) struct TestConnection(http2::SendRequest<tonic::body::Body>);

impl TestConnection {
    /// Dials, and begins HTTP/2.
    pub(crate) async fn to(transport: &dyn Transport, endpoint: &Endpoint, tls: ClientTls) -> Self {
        Self::by(&http2::Builder::new(TokioExecutor::new()), transport, endpoint, tls).await
    }

    async fn by(
        http: &http2::Builder<TokioExecutor>,
        transport: &dyn Transport,
        endpoint: &Endpoint,
        tls: ClientTls,
    ) -> Self {
        let mut connection = transport.dial(endpoint, tls).await.unwrap();
        let stream = connection.open_stream().await.unwrap();
        let (sender, driver) = http.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        Self(sender)
    }
}

impl tower_service::Service<http::Request<tonic::body::Body>> for TestConnection {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// The lines of a file, each an object in JSON; none if there is no such file.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one reply of a call, or its status.
pub(crate) async fn one<T>(
    call: impl Future<Output = Result<tonic::Response<tonic::Streaming<T>>, tonic::Status>>,
) -> Result<T, tonic::Status> {
    let mut replies = call.await?.into_inner();
    let reply = replies.message().await?.expect("a reply before the end of the stream");
    assert!(replies.message().await?.is_none());
    Ok(reply)
}

/// A stream of one request.
pub(crate) fn request<T>(message: T) -> tokio_stream::Once<T> {
    tokio_stream::once(message)
}

/// The questions to a store, passed on to its field `store`.
macro_rules! ask_the_store {
    () => {
        fn level(&self, client: &auth_core::Fingerprint) -> Option<auth_core::Level> {
            self.store.level(client)
        }

        fn is_empty(&self) -> bool {
            self.store.is_empty()
        }

        fn is_armed(&self) -> bool {
            self.store.is_armed()
        }

        fn passphrase(&self) -> Option<auth_core::PassphraseHash> {
            self.store.passphrase()
        }

        fn token(&self, hash: &auth_core::TokenHash) -> Result<auth_core::Token, auth_core::InvalidToken> {
            self.store.token(hash)
        }

        fn tokens(&self, at: auth_core::Moment) -> Vec<auth_core::Token> {
            self.store.tokens(at)
        }

        fn clients(&self) -> Result<Vec<auth_core::TrustedClient>, auth_core::StoreError> {
            self.store.clients()
        }
    };
}
pub(crate) use ask_the_store;
