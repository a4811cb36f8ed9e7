//! A client in this process: as many identities as a test wants, and the calls that no command makes.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fs, io};

use e2e::Daemon;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::rpc_client::RpcClient;
use rpc::trust::trust_client::TrustClient;
use tonic::Status;
use tonic::body::Body;
use transport::tls::{CertificateDates, ClientTls, RootCertificate};
use transport::{ConnectError, Endpoint, Stream, Transport};

use crate::dialling;
use crate::support::sha256;

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    /// In PEM.
    pub(crate) certificate: String,
    key: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub(crate) fingerprint: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(vec![]).expect("parameters").self_signed(&key);
        let certificate = certificate.expect("a certificate");
        let fingerprint = sha256(certificate.der());
        Self { certificate: certificate.pem(), key: key.serialize_pem(), fingerprint }
    }
}

/// Where a daemon is found, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    endpoint: Endpoint,
    root: PathBuf,
    from: Option<IpAddr>,
}

impl Place {
    pub(crate) fn of(daemon: &Daemon) -> Self {
        Self::at(daemon, daemon.address())
    }

    /// The daemon is reached at this address.
    pub(crate) fn at(daemon: &Daemon, address: &str) -> Self {
        let endpoint = address.parse().expect("an address");
        Self { endpoint, root: daemon.root_certificate.clone(), from: None }
    }

    /// The same, from an address of this machine's: over a network only.
    pub(crate) fn from(&self, local: IpAddr) -> Self {
        Self { from: Some(local), ..self.clone() }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What a client trusts there, and who it is.
    ///
    /// # Errors
    /// The daemon has not published its root certificate yet.
    pub(crate) fn tls(&self, identity: Option<&Identity>) -> io::Result<ClientTls> {
        let root = RootCertificate::from_pem(&fs::read(&self.root)?).expect("a root certificate");
        let identity = identity.map(|identity| {
            let (certificate, key) = (identity.certificate.as_bytes(), identity.key.as_bytes());
            transport::tls::Identity::from_pem(certificate, key).expect("an identity")
        });
        Ok(ClientTls::new(root, CertificateDates::Enforced, identity).expect("TLS"))
    }

    async fn dial(&self, tls: ClientTls) -> Result<Stream, ConnectError> {
        if let Some(local) = self.from {
            return dialling::stream_from(local, &self.endpoint, &tls).await;
        }
        let transport: Box<dyn Transport> = match &self.endpoint {
            Endpoint::Unix(_) => Box::new(transport_unix::UnixTransport::default()),
            Endpoint::Tcp(_) => Box::new(transport_tcp::TcpTransport::default()),
            _ => Box::new(transport_quic::QuicTransport::default()),
        };
        transport.dial(&self.endpoint, tls).await?.open_stream().await
    }
}

/// A connection to a daemon, with a certificate or without one.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) rpc: RpcClient<Channel>,
    pub(crate) trust: TrustClient<Channel>,
    channel: Channel,
}

impl Peer {
    /// Connects. Where that fails, there is no daemon, or none any more.
    pub(crate) async fn connect(place: &Place, identity: Option<&Identity>) -> Result<Self, Status> {
        let gone = |error: &dyn std::fmt::Display| Status::unavailable(error.to_string());
        let tls = place.tls(identity).map_err(|error| gone(&error))?;
        let stream = place.dial(tls).await.map_err(|error| gone(&error))?;
        Self::over(stream).await
    }

    /// Over a connection that is there.
    pub(crate) async fn over(stream: Stream) -> Result<Self, Status> {
        let gone = |error: &dyn std::fmt::Display| Status::unavailable(error.to_string());
        let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, driver) = made.map_err(|error| gone(&error))?;
        // It ends with the last sender; a failure reaches the calls that it fails.
        tokio::spawn(driver);
        let (channel, origin) = (Channel(sender), http::Uri::from_static("https://localhost"));
        Ok(Self {
            rpc: RpcClient::with_origin(channel.clone(), origin.clone()),
            trust: TrustClient::with_origin(channel.clone(), origin),
            channel,
        })
    }

    /// Asks for the instances, which only a trusted client may.
    pub(crate) async fn list(&mut self) -> Result<(), Status> {
        ended(self.rpc.list(tokio_stream::once(rpc::ListRequest::default()))).await
    }

    /// Gives the passphrase.
    pub(crate) async fn authenticate(&mut self, passphrase: &str) -> Result<(), Status> {
        let request = rpc::AuthenticateRequest { passphrase: passphrase.into(), ..Default::default() };
        ended(self.rpc.authenticate(tokio_stream::once(request))).await
    }

    /// Asks whether this client is trusted.
    pub(crate) async fn ping(&mut self) -> Result<(), Status> {
        self.rpc.ping(rpc::PingRequest::default()).await.map(drop)
    }

    /// The fingerprints of those who are trusted.
    pub(crate) async fn trusted(&mut self) -> Result<Vec<String>, Status> {
        let reply = self.trust.list(rpc::trust::ListRequest {}).await?.into_inner();
        Ok(reply.clients.into_iter().map(|client| client.fingerprint).collect())
    }

    /// Trusts another, with everything.
    pub(crate) async fn add(&mut self, other: &Identity) -> Result<(), Status> {
        self.add_at(other, "full").await
    }

    /// Trusts another with as much as a level allows.
    pub(crate) async fn add_at(&mut self, other: &Identity, level: &str) -> Result<(), Status> {
        let (certificate, level) = (other.certificate.clone(), level.to_owned());
        let request = rpc::trust::AddRequest { certificate, level, ..Default::default() };
        self.trust.add(request).await.map(drop)
    }

    /// Has another do more, or less.
    pub(crate) async fn set_level(&mut self, other: &Identity, level: &str) -> Result<(), Status> {
        let (fingerprint, level) = (other.fingerprint.clone(), level.to_owned());
        self.trust.set_level(rpc::trust::SetLevelRequest { fingerprint, level }).await.map(drop)
    }

    /// Makes a token, by which one client may come to do everything.
    pub(crate) async fn create_token(&mut self) -> Result<(), Status> {
        let request =
            rpc::trust::CreateTokenRequest { seconds: 3600, level: "full".into(), ..Default::default() };
        self.trust.create_token(request).await.map(drop)
    }

    /// How many tokens there are.
    pub(crate) async fn count_tokens(&mut self) -> Result<usize, Status> {
        let reply = self.trust.list_tokens(rpc::trust::ListTokensRequest {}).await?.into_inner();
        Ok(reply.tokens.len())
    }

    /// Calls any method of any service, with an empty request, and waits for the end of its answer.
    pub(crate) async fn call(&mut self, service: &str, method: &str) -> Result<(), Status> {
        let mut grpc = tonic::client::Grpc::with_origin(
            self.channel.clone(),
            http::Uri::from_static("https://localhost"),
        );
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = format!("/{service}/{method}").parse().expect("a path");
        let request = tonic::Request::new(tokio_stream::once(()));
        ended(grpc.streaming(request, path, tonic_prost::ProstCodec::<(), ()>::default())).await
    }

    /// Ends the trust in another.
    pub(crate) async fn revoke(&mut self, other: &Identity) -> Result<(), Status> {
        let request = rpc::trust::RevokeRequest { fingerprint: other.fingerprint.clone() };
        self.trust.revoke(request).await.map(drop)
    }

    /// Sets the passphrase, or removes it.
    pub(crate) async fn set_passphrase(&mut self, passphrase: Option<&str>) -> Result<(), Status> {
        let passphrase = passphrase.unwrap_or_default().into();
        self.trust.set_passphrase(rpc::trust::SetPassphraseRequest { passphrase }).await.map(drop)
    }
}

/// Waits for the end of a call that streams its answer.
async fn ended<T>(
    call: impl Future<Output = Result<tonic::Response<tonic::Streaming<T>>, Status>>,
) -> Result<(), Status> {
    let mut replies = call.await?.into_inner();
    while replies.message().await?.is_some() {}
    Ok(())
}

/// An HTTP/2 connection as the generated clients want it.
#[derive(Clone, Debug)]
pub(crate) struct Channel(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Channel {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
