//! What the tests share.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use transport::testkit::certificates::{TestIdentity, TestServer};
use transport::testkit::rustls::ClientConfig;
use transport::testkit::rustls::version::TLS13;
use transport::tls::SERVER_NAME;
use transport::{Connection, Endpoint, HostPort, Incoming, ListenError, Listener, Stream, Transport};
use transport_quic::QuicTransport;

/// The protocol's name, as in the documentation.
pub(crate) const ALPN: &[u8] = b"multipass-quic/1";

pub(crate) fn quic(host: &str, port: u16) -> Endpoint {
    Endpoint::Quic(HostPort::new(host, port))
}

/// The socket address of an endpoint as bound.
pub(crate) fn address(endpoint: &Endpoint) -> SocketAddr {
    let Endpoint::Quic(HostPort { host, port }) = endpoint else { panic!("{endpoint} is not QUIC's") };
    SocketAddr::new(host.parse().unwrap(), *port)
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    quic(&address.ip().to_string(), address.port())
}

/// A service on a port of 127.0.0.1.
pub(crate) struct Service {
    pub(crate) server: TestServer,
    pub(crate) listener: Box<dyn Listener>,
    pub(crate) at: Endpoint,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let server = TestServer::generate();
        let listener = listen(&quic("127.0.0.1", 0), &server).await.unwrap();
        let at = listener.endpoints()[0].clone();
        Self { server, listener, at }
    }

    pub(crate) async fn accept(&mut self) -> Box<dyn Incoming> {
        self.listener.accept().await.expect("a peer")
    }

    /// Both ends of a connection by way of `at`.
    pub(crate) async fn connect_by(
        &mut self,
        at: &Endpoint,
        identity: Option<&TestIdentity>,
    ) -> (Box<dyn Connection>, Box<dyn Connection>) {
        let transport = QuicTransport::default();
        let tls = self.server.client(identity);
        let serve = async { self.listener.accept().await.expect("a peer").handshake().await };
        let (client, served) = tokio::join!(transport.dial(at, tls), serve);
        (client.expect("the client's handshake"), served.expect("the server's handshake"))
    }

    pub(crate) async fn connect(&mut self) -> (Box<dyn Connection>, Box<dyn Connection>) {
        let at = self.at.clone();
        self.connect_by(&at, None).await
    }

    /// Both ends of a connection whose client is quinn as it comes, to see what the service permits.
    pub(crate) async fn connect_quinn(&mut self) -> (quinn::Connection, Box<dyn Connection>) {
        let client = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let config = quinn_config(self.server.client_config(None, &[&TLS13]));
        let connecting = client.connect_with(config, address(&self.at), SERVER_NAME).unwrap();
        let serve = async { self.listener.accept().await.expect("a peer").handshake().await };
        let (client, served) = tokio::join!(connecting, serve);
        (client.expect("quinn's handshake"), served.expect("the server's handshake"))
    }
}

pub(crate) async fn listen(at: &Endpoint, server: &TestServer) -> Result<Box<dyn Listener>, ListenError> {
    QuicTransport::default().listen(at, server.tls()).await
}

/// For quinn as it comes, which speaks the service's protocol.
pub(crate) fn quinn_config(mut config: ClientConfig) -> quinn::ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

/// Sends `said` on a fresh stream and takes the stream at the other end, where it is read.
pub(crate) async fn open(
    from: &mut Box<dyn Connection>,
    to: &mut Box<dyn Connection>,
    said: u8,
) -> (Stream, Stream) {
    let mut here = from.open_stream().await.expect("a stream");
    here.write_u8(said).await.unwrap();
    let mut there = to.next_stream().await.expect("the other end's stream");
    assert_eq!(there.read_u8().await.unwrap(), said);
    (here, there)
}

/// A question and its answer.
pub(crate) async fn round_trip(client: &mut Stream, served: &mut Stream) {
    client.write_u8(b'?').await.unwrap();
    assert_eq!(served.read_u8().await.unwrap(), b'?');
    served.write_u8(b'!').await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'!');
}

/// The two datagrams that a client's ClientHello takes, sent to nobody. Others may send them: they are protected by
/// nothing secret.
pub(crate) async fn first_flight() -> [Vec<u8>; 2] {
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(nobody.local_addr().unwrap());
    let dialling = tokio::spawn(async move {
        let tls = TestServer::generate().client(None);
        QuicTransport::default().dial(&at, tls).await.map(drop)
    });
    let mut flight = [const { Vec::new() }; 2];
    for datagram in &mut flight {
        // The other socket of a client asks whether anybody is there, with nothing in it.
        while datagram.is_empty() {
            let mut buffer = [0; 2048];
            let length = nobody.recv(&mut buffer).await.unwrap();
            *datagram = buffer[..length].to_vec();
        }
    }
    dialling.abort();
    flight
}
