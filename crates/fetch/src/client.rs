//! Asks servers: one connection for one request, a redirect followed by another.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, HOST, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderValue, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::response::{Body, response};
use crate::{FetchError, Response, Url};

/// Downloads.
#[derive(Clone, Debug)]
pub struct Client {
    trusted: TrustAnchors,
    limits: Limits,
}

/// Whose servers are asked.
#[derive(Clone, Debug)]
enum TrustAnchors {
    /// Those that the operating system trusts, when they are asked. Its authorities take half a megabyte, and may
    /// change: they are read for each connection, and not kept.
    Platform,
    /// These.
    Only(Arc<ClientConfig>),
}

/// How long a server is waited for, and followed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection, and for its handshake.
    pub connect: Duration,
    /// For the beginning of an answer, and for each next 128 KiB of it: who sends it byte by byte holds nobody up.
    pub stall: Duration,
    /// Redirects, one after the other.
    pub redirects: u32,
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// All of it.
    Full,
    /// All of it, unless it is still what this tag stands for.
    IfNoneMatch(&'a str),
    /// What comes after so many bytes if it is still what this tag stands for, else all of it.
    Resume(u64, &'a str),
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), stall: Duration::from_secs(30), redirects: 10 }
    }
}

impl Client {
    /// A client that trusts whom the operating system trusts.
    #[must_use]
    pub fn platform(limits: Limits) -> Self {
        Self { trusted: TrustAnchors::Platform, limits }
    }

    /// A client that trusts these authorities alone.
    ///
    /// # Errors
    /// The provider of cryptography does not fit.
    pub fn trusting(roots: RootCertStore, limits: Limits) -> Result<Self, rustls::Error> {
        let tls = config(builder()?.with_root_certificates(roots));
        Ok(Self { trusted: TrustAnchors::Only(tls), limits })
    }

    /// Asks for what is at `url`. Dropping the future, or what it gives, ends the connection.
    ///
    /// # Errors
    /// The server cannot be reached, does not answer, or has it not.
    pub async fn get(&self, url: &Url, asked: Request<'_>) -> Result<Response, FetchError> {
        let mut url = url.clone();
        for _ in 0..=self.limits.redirects {
            let (head, connection) = self.request(&url, asked).await?;
            let Some(next) = redirect(&url, &head)? else {
                let body = Body::new(url.place(), self.limits.stall, head, connection);
                return response(asked, body);
            };
            url = next;
        }
        Err(FetchError::TooManyRedirects { host: url.place() })
    }

    async fn request(
        &self,
        url: &Url,
        asked: Request<'_>,
    ) -> Result<(http::Response<Incoming>, Connection), FetchError> {
        let host = url.place();
        let connect = async {
            let tcp = TcpStream::connect(host.as_str()).await;
            tcp.map_err(|source| FetchError::Connect { host: host.clone(), source })
        };
        let tcp = within(self.limits.connect, &host, connect).await?;
        if !url.is_secure() {
            return self.exchange(url, asked, tcp).await;
        }
        let fails = |source| FetchError::Tls { host: host.clone(), source };
        let bare = url.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|error| fails(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let handshake =
            async { TlsConnector::from(self.trusted.tls().await?).connect(name, tcp).await.map_err(fails) };
        let tls = within(self.limits.connect, &host, handshake).await?;
        self.exchange(url, asked, tls).await
    }

    async fn exchange(
        &self,
        url: &Url,
        asked: Request<'_>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<(http::Response<Incoming>, Connection), FetchError> {
        let host = url.place();
        let broken = |source| FetchError::Broken { host: host.clone(), source };
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
            // It ends by itself, with an error that the response's reader sees too.
            let connection = AbortOnDropHandle::new(tokio::spawn(async move {
                let _ = connection.await;
            }));
            let response = sender.send_request(request(url, asked)?).await.map_err(broken)?;
            Ok((response, connection))
        };
        within(self.limits.stall, &host, exchange).await
    }
}

impl TrustAnchors {
    async fn tls(&self) -> Result<Arc<ClientConfig>, FetchError> {
        if let Self::Only(tls) = self {
            return Ok(Arc::clone(tls));
        }
        let read = || Ok(config(builder()?.with_platform_verifier()?));
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|error| Err(rustls::Error::General(error.to_string())))
            .map_err(FetchError::Authorities)
    }
}

fn config(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Arc<ClientConfig> {
    let mut tls = builder.with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(tls)
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// The task that carries a connection.
pub(crate) type Connection = AbortOnDropHandle<()>;

pub(crate) async fn within<T>(
    limit: Duration,
    host: &str,
    work: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let stalled = |_| FetchError::Stalled { host: host.to_owned(), limit };
    tokio::time::timeout(limit, work).await.map_err(stalled)?
}

fn request(url: &Url, asked: Request<'_>) -> Result<http::Request<Empty<Bytes>>, FetchError> {
    let fails =
        |_| FetchError::Protocol { host: url.place(), what: "its tag or address cannot be sent back" };
    let mut request = http::Request::get(url.path()).body(Empty::new()).map_err(fails)?;
    let headers = request.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| fails(error.into()));
    headers.insert(HOST, value(url.authority())?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("multipassd/", env!("CARGO_PKG_VERSION"))));
    // Bytes are counted, and resumed: they must be those of the file.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    match asked {
        Request::Full => {}
        Request::IfNoneMatch(tag) => {
            headers.insert(IF_NONE_MATCH, value(tag)?);
        }
        Request::Resume(bytes, tag) => {
            headers.insert(RANGE, value(&format!("bytes={bytes}-"))?);
            headers.insert(IF_RANGE, value(tag)?);
        }
    }
    Ok(request)
}

/// Where a response leads to, if it is a redirect. One that cannot be used as it is, is an error.
fn redirect(url: &Url, response: &http::Response<Incoming>) -> Result<Option<Url>, FetchError> {
    let host = || url.place();
    let protocol = |what| FetchError::Protocol { host: host(), what };
    let status = response.status();
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
            let encoded = response.headers().get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
            return match encoded {
                Some(_) => Err(protocol("it sends the file encoded, although it was asked not to")),
                None => Ok(None),
            };
        }
        StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE => return Ok(None),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {}
        other => return Err(FetchError::Status { host: host(), status: other.as_u16() }),
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| protocol("it redirects, and does not say where"))?;
    let next = url.join(location).map_err(|source| FetchError::Redirect { host: host(), source })?;
    if url.is_secure() && !next.is_secure() {
        return Err(FetchError::Downgrade { host: host() });
    }
    Ok(Some(next))
}
