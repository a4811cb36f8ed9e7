//! A visitor of a service: a connection, and a call over it.
//!
//! The call is made with as little as HTTP/2 allows, so that what is measured is the service.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tonic::Status;
use transport::tls::{CertificateDates, ClientTls, Identity, RootCertificate};
use transport::{Endpoint, Transport};
use transport_quic::QuicTransport;
use transport_tcp::TcpTransport;
use transport_unix::UnixTransport;

use crate::read;

/// gRPC's frame around a message: a byte for compression, then four for the length.
const FRAME: usize = 5;

/// Where a service is, and what a client needs to reach it.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The service's address: unix:/path, host:port or quic:host:port
    #[arg(long)]
    pub address: Endpoint,
    /// The root certificate that the service proves itself with
    #[arg(long)]
    pub root: PathBuf,
    /// The client's certificate
    #[arg(long)]
    pub certificate: PathBuf,
    /// The client's private key
    #[arg(long)]
    pub key: PathBuf,
}

/// Somebody who connects, with everything loaded that it takes.
#[derive(Clone, Debug)]
pub struct Visitor {
    transport: Arc<dyn Transport>,
    endpoint: Endpoint,
    tls: ClientTls,
}

/// The transport that reaches `endpoint`, or serves it.
///
/// # Errors
/// There is none here.
pub fn transport_of(endpoint: &Endpoint) -> anyhow::Result<Arc<dyn Transport>> {
    Ok(match endpoint {
        Endpoint::Unix(_) => Arc::new(UnixTransport::default()),
        Endpoint::Tcp(_) => Arc::new(TcpTransport::default()),
        Endpoint::Quic(_) => Arc::new(QuicTransport::default()),
        other => bail!("no transport for {other}"),
    })
}

impl Visitor {
    /// Loads the identity that `place` names.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should.
    pub fn of(place: &Place) -> anyhow::Result<Self> {
        Self::over(transport_of(&place.address)?, place)
    }

    /// As [`Self::of`], over the one transport that the program then links: each makes its start slower.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn over(transport: Arc<dyn Transport>, place: &Place) -> anyhow::Result<Self> {
        let identity = Identity::from_pem(&read(&place.certificate)?, &read(&place.key)?)?;
        Self::new(transport, place, identity)
    }

    /// As [`Self::of`], with another identity.
    ///
    /// # Errors
    /// The root certificate cannot be read, or is none.
    pub fn with(place: &Place, identity: Identity) -> anyhow::Result<Self> {
        Self::new(transport_of(&place.address)?, place, identity)
    }

    fn new(transport: Arc<dyn Transport>, place: &Place, identity: Identity) -> anyhow::Result<Self> {
        let root = RootCertificate::from_pem(&read(&place.root)?)?;
        let tls = ClientTls::new(root, CertificateDates::Ignored, Some(identity))?;
        Ok(Self { transport, endpoint: place.address.clone(), tls })
    }

    /// Connects and completes the handshakes, of TLS and HTTP/2. It belongs into a runtime.
    ///
    /// # Errors
    /// The service cannot be reached or trusted.
    pub async fn connect(&self) -> anyhow::Result<Line> {
        let mut connection = self.transport.dial(&self.endpoint, self.tls.clone()).await?;
        let stream = connection.open_stream().await?;
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with the last sender; a failure reaches the calls that it fails.
        tokio::spawn(driver);
        Ok(Line { sender })
    }
}

/// A connection with HTTP/2 on it. It ends when it is dropped.
#[derive(Debug)]
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
}

impl Line {
    /// Asks for the instances.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn list(&mut self) -> anyhow::Result<rpc::ListReply> {
        self.call("list", &rpc::ListRequest::default()).await
    }

    /// Makes one call, to its end.
    ///
    /// # Errors
    /// The connection was lost; or the service refused, with the [`Status`] that the error then is.
    pub async fn call<Reply: Message + Default>(
        &mut self,
        method: &str,
        message: &impl Message,
    ) -> anyhow::Result<Reply> {
        let mut answer = self.answer(method, message).await?;
        ensure!(answer.len() >= FRAME, "the reply has no frame");
        Ok(Reply::decode(answer.split_off(FRAME))?)
    }

    /// Makes one call, to its end, whatever the replies.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn finish(&mut self, method: &str, message: &impl Message) -> anyhow::Result<()> {
        self.answer(method, message).await.map(drop)
    }

    async fn answer(&mut self, method: &str, message: &impl Message) -> anyhow::Result<Bytes> {
        let request = Request::post(format!("https://localhost/{}/{method}", rpc::SERVICE))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(framed(message)?))?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?;
        // A refusal has its status among the headers.
        check(body.trailers().unwrap_or(&head.headers))?;
        Ok(body.to_bytes())
    }
}

fn framed(message: &impl Message) -> anyhow::Result<Bytes> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length)?);
    message.encode(&mut frame)?;
    Ok(frame.freeze())
}

fn check(trailers: &HeaderMap) -> anyhow::Result<()> {
    // Looked at first: taking a whole status apart costs more than the rest of a call here.
    if trailers.get(Status::GRPC_STATUS).is_some_and(|status| status == "0") {
        return Ok(());
    }
    Err(Status::from_header_map(trailers).context("the answer has no status")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_framed() {
        let mut request = rpc::GetRequest::default();
        assert_eq!(framed(&request).unwrap(), [0; 5].as_slice());
        request.key = "ab".to_owned();
        assert_eq!(framed(&request).unwrap(), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b'].as_slice());
    }

    #[test]
    fn only_status_0_is_success() {
        let mut trailers = HeaderMap::new();
        assert!(check(&trailers).is_err());
        trailers.insert("grpc-status", "16".parse().unwrap());
        trailers.insert("grpc-message", "who%20are%20you".parse().unwrap());
        let error = check(&trailers).unwrap_err();
        let status = error.downcast_ref::<Status>().expect("a status");
        assert_eq!((status.code(), status.message()), (tonic::Code::Unauthenticated, "who are you"));
        trailers.insert("grpc-status", "0".parse().unwrap());
        assert!(check(&trailers).is_ok());
        trailers.insert("grpc-status", "00".parse().unwrap());
        assert!(check(&trailers).is_err());
    }
}
