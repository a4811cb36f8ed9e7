//! The contract of [`Transport`], as tests. A transport's `tests/it` implements [`Harness`] and calls
//! [`contract_tests!`](crate::contract_tests); one that carries TLS over byte streams also implements
//! [`ByteStreamHarness`] and calls [`byte_stream_contract_tests!`](crate::byte_stream_contract_tests).
//!
//! A test that waits for something to happen waits for that very thing, under [`run`](super::run)'s
//! deadline. Only where nothing must happen is time what is waited for: [`QUIET`].

use std::any::Any;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};

use super::certificates::{Kind, ServerKind, TestIdentity, TestServer, provider, stolen};
use crate::tls::{ClientTls, Dates, SERVER_NAME, ServerTls, Unpinned};
use crate::{ConnectError, Connection, Endpoint, HandshakeError, Listener, Stream, Transport};

/// A transport under test.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Made once for each test; whatever it holds goes when the test ends.
    fn new() -> Self;

    /// The transport.
    fn transport(&self) -> Box<dyn Transport>;

    /// An address on which nothing listens yet.
    fn endpoint(&self) -> Endpoint;

    /// The TLS versions that it speaks.
    fn tls_versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        tokio_rustls::rustls::ALL_VERSIONS
    }

    /// Peers that connect and then say nothing more, one for each moment of the handshake at which that
    /// can be. They are gone when the values are dropped. [`stalled_byte_streams`] makes them of streams.
    async fn stalled_peers(&self, at: &Endpoint) -> Vec<Box<dyn Any + Send>>;
}

/// A transport under test that carries TLS over one byte stream a connection, each on a descriptor.
#[async_trait]
pub trait ByteStreamHarness: Harness {
    /// Connects without TLS.
    async fn connect_raw(&self, at: &Endpoint) -> Stream;
}

/// Defines the tests that every transport passes, for a [`Harness`].
#[macro_export]
macro_rules! contract_tests {
    ($harness:ty) => {
        $crate::contract_tests! {
            @tests $harness:
            every_kind_of_certificate_is_delivered
            a_client_without_a_certificate_is_let_in_as_nobody
            the_server_names_no_authorities
            a_certificate_without_its_key_is_refused
            possession_is_proven_on_every_connection
            a_client_that_knows_only_p256_is_answered
            a_server_under_another_root_is_not_trusted
            a_server_is_known_by_the_fingerprint_of_its_root
            a_renewed_certificate_is_shown_from_then_on
            nothing_listens
            a_peer_that_stalls_holds_up_no_one
            a_crowd_waits_its_turn
            a_refused_peer_is_sent_away
            a_handshake_that_is_dropped_is_aborted
            accept_may_be_cancelled
            bytes_arrive_in_order_both_ways
            one_side_may_finish_before_the_other
            a_writer_waits_for_a_slow_reader
            a_closer_cuts_at_once
            a_closer_cuts_its_own_connection_only
            closing_waits_for_live_streams_until_its_deadline
            closing_cuts_a_handshake_at_its_deadline
            closing_ends_with_the_last_stream
            an_address_can_be_used_again
        }
    };
    (@tests $harness:ty: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testkit::run($crate::testkit::contract::$name::<$harness>());
            }
        )*
    };
}

/// Defines the further tests of a transport with a byte stream a connection, for a [`ByteStreamHarness`].
#[macro_export]
macro_rules! byte_stream_contract_tests {
    ($harness:ty) => {
        $crate::contract_tests! {
            @tests $harness:
            a_client_without_alpn_is_answered
            a_client_of_the_stock_service_is_answered
            a_connection_has_one_stream
            what_is_no_tls_is_refused
        }

        #[cfg(unix)]
        #[test]
        fn running_out_of_descriptors_is_transient() {
            let path = concat!(module_path!(), "::running_out_of_descriptors_is_transient");
            $crate::testkit::alone(path, || {
                $crate::testkit::run($crate::testkit::contract::running_out_of_descriptors_is_transient::<
                    $harness,
                >());
            });
        }
    };
}

/// How long nothing must happen before it counts as not happening.
pub const QUIET: Duration = Duration::from_millis(200);

/// How soon something must happen that is to happen at once.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How long a closing listener waits for its streams where the test waits for the deadline.
const GRACE: Duration = Duration::from_secs(1);

/// A service that listens, with everything that its clients need.
struct Service<H> {
    harness: H,
    transport: Arc<dyn Transport>,
    server: TestServer,
    tls: ServerTls,
    listener: Box<dyn Listener>,
    at: Endpoint,
}

impl<H: Harness> Service<H> {
    async fn start() -> Self {
        let harness = H::new();
        let transport: Arc<dyn Transport> = harness.transport().into();
        let server = TestServer::generate();
        let tls = server.tls();
        let listener = transport.listen(&harness.endpoint(), tls.clone()).await.expect("a listener");
        let at = listener.endpoints().first().expect("an address as bound").clone();
        Self { harness, transport, server, tls, listener, at }
    }

    /// Both ends' results of one client's handshake.
    async fn attempt(
        &mut self,
        tls: ClientTls,
    ) -> (Result<Ends, ConnectError>, Result<Ends, HandshakeError>) {
        let serve = async { self.listener.accept().await.expect("a peer").handshake().await };
        tokio::join!(self.transport.dial(&self.at, tls), serve)
    }

    /// Both ends of one client's connection.
    async fn connect(&mut self, tls: ClientTls) -> (Ends, Ends) {
        let (client, server) = self.attempt(tls).await;
        (client.expect("the client's handshake"), server.expect("the server's handshake"))
    }

    /// Both ends of a stream, and their connections.
    async fn stream(&mut self) -> (Opened, Opened) {
        let (mut client, mut server) = self.connect(self.server.client(None)).await;
        let (here, there) = open(&mut client, &mut server).await;
        (Opened { stream: here, connection: client }, Opened { stream: there, connection: server })
    }
}

type Ends = Box<dyn Connection>;

struct Opened {
    stream: Stream,
    connection: Ends,
}

/// Opens a stream. Some transports tell the server of it only with the first byte.
async fn open(client: &mut Ends, server: &mut Ends) -> (Stream, Stream) {
    let mut here = client.open_stream().await.expect("a stream");
    here.write_all(b"!").await.unwrap();
    here.flush().await.unwrap();
    let mut there = server.next_stream().await.expect("the client's stream");
    assert_eq!(there.read_u8().await.unwrap(), b'!');
    (here, there)
}

/// Sends a few bytes to the other end and reads them there.
async fn passes(from: &mut Stream, to: &mut Stream) {
    from.write_all(b"some bytes").await.unwrap();
    from.flush().await.unwrap();
    let mut read = [0; 10];
    to.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"some bytes");
}

/// Whether the other end has given the stream up: an error or its end, and no byte more.
async fn is_gone(mut stream: Stream) -> bool {
    stream.read_u8().await.is_err()
}

/// Whether the other end did not let this client in. In TLS 1.3 a client is done before it is judged.
async fn is_turned_away(dialled: Result<Ends, ConnectError>) -> bool {
    let Ok(mut client) = dialled else { return true };
    match client.open_stream().await {
        Ok(stream) => is_gone(stream).await,
        Err(_) => true,
    }
}

/// Peers that stop after each of several beginnings of a ClientHello.
pub async fn stalled_byte_streams(
    harness: &impl ByteStreamHarness,
    at: &Endpoint,
) -> Vec<Box<dyn Any + Send>> {
    let hello = client_hello();
    let mut peers: Vec<Box<dyn Any + Send>> = Vec::new();
    for beginning in [&[], &hello[..1], &hello[..hello.len() / 2]] {
        let mut stream = harness.connect_raw(at).await;
        stream.write_all(beginning).await.unwrap();
        stream.flush().await.unwrap();
        peers.push(Box::new(stream));
    }
    peers
}

/// What a client says first.
fn client_hello() -> Vec<u8> {
    let config = TestServer::generate().client_config(None, tokio_rustls::rustls::ALL_VERSIONS);
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = tokio_rustls::rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// The server sees exactly the certificate that the client presented, over each TLS version.
pub async fn every_kind_of_certificate_is_delivered<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for kind in Kind::ALL {
        let identity = kind.generate();
        let mut clients = vec![service.server.client(Some(&identity))];
        for version in service.harness.tls_versions() {
            let config = service.server.client_config(Some(identity.resolver()), &[version]);
            clients.push(ClientTls::unverified_from_config(config));
        }
        for tls in clients {
            let (mut client, mut server) = service.connect(tls).await;
            let delivered = server.peer().certificate.as_ref().expect("a certificate");
            assert!(delivered.der() == identity.certificate(), "{kind:?}: another certificate was delivered");
            let shown = client.peer().certificate.as_ref().expect("the server's certificate");
            assert!(shown.der() == service.server.identity().certificate(), "{kind:?}: another server");
            let (mut here, mut there) = open(&mut client, &mut server).await;
            passes(&mut there, &mut here).await;
        }
    }
}

/// No certificate is a completed handshake, over each TLS version.
pub async fn a_client_without_a_certificate_is_let_in_as_nobody<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let mut clients = vec![service.server.client(None)];
    for version in service.harness.tls_versions() {
        clients.push(ClientTls::unverified_from_config(service.server.client_config(None, &[version])));
    }
    for tls in clients {
        let (mut client, mut server) = service.connect(tls).await;
        assert_eq!(server.peer().certificate, None);
        let (mut here, mut there) = open(&mut client, &mut server).await;
        passes(&mut there, &mut here).await;
    }
}

/// A client with a certificate from anywhere is to present it: the server restricts it to no authorities.
pub async fn the_server_names_no_authorities<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let resolver = TestIdentity::client().resolver();
        let config = service.server.client_config(Some(resolver.clone()), &[version]);
        service.connect(ClientTls::unverified_from_config(config)).await;
        assert_eq!((resolver.asked(), resolver.authorities_named()), (1, 0));
    }
}

/// A certificate is worth nothing to who does not hold its key.
pub async fn a_certificate_without_its_key_is_refused<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for kind in [Kind::P256, Kind::P256V1, Kind::Rsa2048, Kind::P384, Kind::Ed25519] {
        let (victim, thief, stranger) = (kind.generate(), kind.generate(), other_kind(kind).generate());
        for version in service.harness.tls_versions() {
            for (presents, accepted) in [
                (victim.resolver(), true),
                (stolen(&victim, &thief), false),
                // A signature of a scheme that is fine in itself, and not that of the certificate.
                (stolen(&victim, &stranger), false),
            ] {
                let config = service.server.client_config(Some(presents.clone()), &[version]);
                let (client, server) = service.attempt(ClientTls::unverified_from_config(config)).await;
                assert_eq!(presents.asked(), 1);
                assert_eq!(server.is_ok(), accepted, "{kind:?}, {:?}", version.version);
                if !accepted {
                    assert!(is_turned_away(client).await, "{kind:?}: the thief was answered");
                }
            }
        }
    }
}

fn other_kind(kind: Kind) -> Kind {
    if kind == Kind::P256 { Kind::Ed25519 } else { Kind::P256 }
}

/// A client that would resume its session is asked for its certificate and a signature each time.
pub async fn possession_is_proven_on_every_connection<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let resolver = TestIdentity::client().resolver();
        // Resumption is on in this client, unlike in the product's.
        let tls = service.server.client_config(Some(resolver.clone()), &[version]);
        let tls = ClientTls::unverified_from_config(tls);
        for connection in 1..=3 {
            let (mut client, mut server) = service.connect(tls.clone()).await;
            // A ticket would come with the first bytes.
            let (mut here, mut there) = open(&mut client, &mut server).await;
            passes(&mut there, &mut here).await;
            assert_eq!(resolver.asked(), connection, "{:?}", version.version);
        }
    }
}

/// The stock client offers no other group.
pub async fn a_client_that_knows_only_p256_is_answered<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let (mut client, mut server) =
            service.connect(ClientTls::unverified_from_config(p256_only(&service.server, version))).await;
        let (mut here, mut there) = open(&mut client, &mut server).await;
        passes(&mut there, &mut here).await;
    }
}

fn p256_only(server: &TestServer, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut provider = (*provider()).clone();
    provider.kx_groups = vec![tokio_rustls::rustls::crypto::aws_lc_rs::kx_group::SECP256R1];
    server.client_config_with(Arc::new(provider), Some(TestIdentity::client().resolver()), &[version])
}

/// A client knows its own service from another, and says so.
pub async fn a_server_under_another_root_is_not_trusted<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let elsewhere = TestServer::generate();
    let (client, server) = service.attempt(elsewhere.client(Some(&TestIdentity::client()))).await;
    assert!(matches!(client, Err(ConnectError::ServerUntrusted(_))), "{:?}", client.err());
    assert!(server.is_err());
}

/// A client that knows but a fingerprint trusts its own service alone, and one that knows nothing learns which.
pub async fn a_server_is_known_by_the_fingerprint_of_its_root<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (right, wrong) = (service.server.root().fingerprint(), TestServer::generate().root().fingerprint());
    let identity = || Some(TestIdentity::client().identity());
    let (_client, server) = service.connect(ClientTls::new(right, Dates::Count, identity()).unwrap()).await;
    assert!(server.peer().certificate.is_some());
    for untrusting in [
        ClientTls::new(wrong, Dates::Count, identity()).unwrap(),
        ClientTls::for_unverified_root(Dates::Count).unwrap(),
    ] {
        let (client, server) = service.attempt(untrusting).await;
        let Err(ConnectError::ServerUnpinned(presented)) = client else { panic!("{:?}", client.err()) };
        assert_eq!(presented, Unpinned::UnverifiedRoot(right));
        assert!(server.is_err());
    }
}

/// A certificate is renewed while the service runs, and who is connected notices nothing.
pub async fn a_renewed_certificate_is_shown_from_then_on<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    let renewed = service.server.issue(ServerKind::Usual);
    service.tls.renew(renewed.identity());
    let (later, _) = service.connect(service.server.client(None)).await;
    let shown = later.peer().certificate.as_ref().expect("the server's certificate");
    assert!(shown.der() == renewed.certificate(), "another certificate");
    passes(&mut client.stream, &mut server.stream).await;
    passes(&mut server.stream, &mut client.stream).await;
}

/// Dialling where nothing listens fails, and soon.
pub async fn nothing_listens<H: Harness>() {
    let service = Service::<H>::start().await;
    let Service { harness: _harness, transport, server, listener, at, .. } = service;
    listener.close(Instant::now()).await;
    let dialled =
        timeout(AT_ONCE, transport.dial(&at, server.client(None))).await.expect("an answer at once");
    assert!(dialled.is_err());
}

/// While some peers never end their handshake, others are accepted and served.
pub async fn a_peer_that_stalls_holds_up_no_one<H: Harness>() {
    let service = Service::<H>::start().await;
    let Service { harness, transport, server, mut listener, at, .. } = service;
    let stalled = harness.stalled_peers(&at).await;
    assert!(!stalled.is_empty());
    // As a server does it: each handshake in a task of its own.
    let accepting = tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await.expect("a peer");
            tokio::spawn(async move {
                let Ok(mut connection) = incoming.handshake().await else { return };
                while let Some(mut stream) = connection.next_stream().await {
                    let byte = stream.read_u8().await.unwrap();
                    stream.write_u8(byte).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    for byte in 0..3 {
        let mut client = transport.dial(&at, server.client(None)).await.expect("the client's handshake");
        let mut stream = client.open_stream().await.unwrap();
        stream.write_u8(byte).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), byte);
    }
    drop(stalled);
    accepting.abort();
}

/// More clients at once than a system keeps waiting to be accepted: a busy service turns nobody away.
pub async fn a_crowd_waits_its_turn<H: Harness>() {
    const CROWD: usize = 160;
    let mut service = Service::<H>::start().await;
    let clients: Vec<_> = (0..CROWD)
        .map(|_| {
            let (transport, at) = (Arc::clone(&service.transport), service.at.clone());
            let tls = service.server.client(None);
            tokio::spawn(async move { transport.dial(&at, tls).await.map(drop) })
        })
        .collect();
    // All of them dial before the first is accepted.
    tokio::time::sleep(QUIET).await;
    for _ in 0..CROWD {
        let incoming = service.listener.accept().await.expect("a peer");
        tokio::spawn(async move { incoming.handshake().await.map(drop) });
    }
    for client in clients {
        client.await.unwrap().expect("the client's handshake");
    }
}

/// A peer that is refused before its handshake learns so.
pub async fn a_refused_peer_is_sent_away<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let tls = service.server.client(None);
    let refuse = async { service.listener.accept().await.expect("a peer").refuse() };
    let (dialled, ()) = tokio::join!(service.transport.dial(&service.at, tls), refuse);
    assert!(dialled.is_err());
}

/// A server that gives a handshake up leaves nobody waiting.
pub async fn a_handshake_that_is_dropped_is_aborted<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let stalled = service.harness.stalled_peers(&service.at).await;
    let incoming = service.listener.accept().await.expect("a peer");
    let given_up = timeout(QUIET, incoming.handshake()).await;
    assert!(given_up.is_err(), "a peer that stalls should not complete its handshake");
    drop(stalled);

    let tls = service.server.client(None);
    let mut dialling = pin!(async { is_turned_away(service.transport.dial(&service.at, tls).await).await });
    loop {
        // The other peers that stalled are still in the queue: each is taken and given up.
        tokio::select! {
            incoming = service.listener.accept() => {
                let begun = timeout(Duration::ZERO, incoming.expect("a peer").handshake()).await;
                assert!(!matches!(begun, Ok(Ok(_))), "a handshake takes more than the client's first bytes");
            }
            turned_away = &mut dialling => {
                assert!(turned_away);
                break;
            }
        }
    }
}

/// An accept that is given up loses no peer.
pub async fn accept_may_be_cancelled<H: Harness>() {
    let mut service = Service::<H>::start().await;
    assert!(timeout(QUIET, service.listener.accept()).await.is_err(), "nobody dialled");
    for _ in 0..3 {
        let tls = service.server.client(None);
        let dialled = service.transport.dial(&service.at, tls);
        let listener = &mut service.listener;
        let accept = async move {
            loop {
                // Given up over and over, at whatever point it is after a millisecond.
                if let Ok(incoming) = timeout(Duration::from_millis(1), listener.accept()).await {
                    return incoming.expect("a peer").handshake().await;
                }
            }
        };
        let (client, server) = tokio::join!(dialled, accept);
        assert!(client.is_ok() && server.is_ok());
    }
}

/// More bytes than any buffer holds, both ways at once.
pub async fn bytes_arrive_in_order_both_ways<H: Harness>() {
    const LENGTH: usize = 3_000_001;
    let mut service = Service::<H>::start().await;
    let (client, server) = service.stream().await;
    let exchange = |stream: Stream, sends: u64, expects: u64| async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (_, read) = tokio::join!(
            async {
                writer.write_all(&pattern(sends, LENGTH)).await.unwrap();
                writer.shutdown().await.unwrap();
            },
            async {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).await.unwrap();
                read
            },
        );
        assert!(read == pattern(expects, LENGTH), "{} bytes, not those sent", read.len());
    };
    tokio::join!(exchange(client.stream, 1, 2), exchange(server.stream, 2, 1));
}

/// Bytes that repeat late, different for each seed (xorshift, Marsaglia 2003).
fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A client that has said all it wants still reads the whole answer.
pub async fn one_side_may_finish_before_the_other<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    client.stream.write_all(b"a question").await.unwrap();
    client.stream.shutdown().await.unwrap();
    let mut question = Vec::new();
    server.stream.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"a question");

    let answer = pattern(3, 1_000_000);
    let mut read = Vec::new();
    let (_, _) = tokio::join!(
        async {
            server.stream.write_all(&answer).await.unwrap();
            server.stream.shutdown().await.unwrap();
        },
        async { client.stream.read_to_end(&mut read).await.unwrap() },
    );
    assert!(read == answer, "{} bytes, not those sent", read.len());
}

/// Who writes to a peer that does not read is stopped soon, and goes on once it reads.
pub async fn a_writer_waits_for_a_slow_reader<H: Harness>() {
    /// More than the system's buffers and ours hold together.
    const BOUND: usize = 32 << 20;
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    let chunk = pattern(4, 64 << 10);
    let mut written = 0;
    while let Ok(count) = timeout(QUIET, client.stream.write(&chunk[written % chunk.len()..])).await {
        written += count.unwrap();
        assert!(written < BOUND, "{written} bytes were written to a peer that reads none");
    }
    assert!(written > 0);

    let total = written + (1 << 20);
    let go_on = async {
        while written < total {
            written += client.stream.write(&chunk[written % chunk.len()..]).await.unwrap();
        }
        client.stream.shutdown().await.unwrap();
    };
    let mut read = Vec::new();
    let ((), _) = tokio::join!(go_on, async { server.stream.read_to_end(&mut read).await.unwrap() });
    assert_eq!(read.len(), written);
    assert!(read.chunks(chunk.len()).all(|read| read == &chunk[..read.len()]), "not the bytes sent");
}

/// A cut connection fails at once and for good, whoever waits on it and whatever is buffered.
pub async fn a_closer_cuts_at_once<H: Harness>() {
    let mut service = Service::<H>::start().await;

    // A read that waits.
    let (client, mut server) = service.stream().await;
    let reading = pending(async move {
        let first = server.stream.read_u8().await;
        (first, server.stream)
    })
    .await;
    server.connection.closer().close();
    let (first, mut stream) = timeout(AT_ONCE, reading).await.expect("the read ends at once").unwrap();
    assert_cut(first);
    // Not an end of stream: nobody may take what was cut for complete.
    assert_cut(stream.read_u8().await);
    assert_cut(stream.write_all(b"more").await);
    assert_cut(stream.flush().await);
    drop(stream);
    assert!(is_gone(client.stream).await);

    // A write that waits.
    let (_client, mut server) = service.stream().await;
    let writing = pending(async move {
        loop {
            if let Err(error) = server.stream.write_all(&[0; 64 << 10]).await {
                return error;
            }
        }
    })
    .await;
    server.connection.closer().close();
    assert_cut::<()>(Err(timeout(AT_ONCE, writing).await.expect("the write ends at once").unwrap()));

    // Bytes that have arrived and were not yet read.
    let (mut client, mut server) = service.stream().await;
    passes(&mut client.stream, &mut server.stream).await;
    client.stream.write_all(b"abc").await.unwrap();
    client.stream.flush().await.unwrap();
    assert_eq!(server.stream.read_u8().await.unwrap(), b'a');
    server.connection.closer().close();
    assert_cut(server.stream.read_u8().await);
    assert_cut(server.stream.write_all(b"more").await);
    drop(server);
    assert!(is_gone(client.stream).await, "something was written after the cut");

    // A connection whose stream nobody has taken yet, from the client's side.
    let (mut client, _server) = service.connect(service.server.client(None)).await;
    client.closer().close();
    if let Ok(mut stream) = client.open_stream().await {
        assert_cut(stream.write_all(b"!").await);
    }
}

/// Starts `task` and returns once it waits for something.
async fn pending<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let task = tokio::spawn(task);
    tokio::time::sleep(QUIET).await;
    assert!(!task.is_finished(), "it should wait");
    task
}

#[track_caller]
fn assert_cut<T>(result: io::Result<T>) {
    let error = result.err().expect("a cut connection should fail");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
}

/// One client's end is not another's.
pub async fn a_closer_cuts_its_own_connection_only<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (_client, cut) = service.stream().await;
    let (mut client, mut server) = service.stream().await;
    cut.connection.closer().close();
    passes(&mut client.stream, &mut server.stream).await;
    passes(&mut server.stream, &mut client.stream).await;
}

/// Nobody new is let in; who is in stays until the deadline, and not longer.
pub async fn closing_waits_for_live_streams_until_its_deadline<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.stream().await;
    let tls = service.server.client(None);
    let Service { harness: _harness, transport, listener, at, .. } = service;

    let deadline = Instant::now() + GRACE;
    let closing = tokio::spawn(listener.close(deadline));
    tokio::task::yield_now().await;
    for _ in 0..3 {
        assert!(transport.dial(&at, tls.clone()).await.is_err(), "a closing listener should let nobody in");
    }
    while Instant::now() + QUIET < deadline {
        passes(&mut client.stream, &mut server.stream).await;
        passes(&mut server.stream, &mut client.stream).await;
        tokio::time::sleep(QUIET / 10).await;
    }
    assert!(!closing.is_finished(), "a stream still lives");

    let read = server.stream.read_u8().await;
    assert!(Instant::now() >= deadline, "cut before the deadline");
    assert_cut(read);
    assert_cut(server.stream.write_all(b"more").await);
    timeout(AT_ONCE, closing).await.expect("closing ends after its deadline").unwrap();
    drop(server);
    assert!(is_gone(client.stream).await);
}

/// A peer that never ends its handshake holds up no shutdown either.
pub async fn closing_cuts_a_handshake_at_its_deadline<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let stalled = service.harness.stalled_peers(&service.at).await;
    let incoming = service.listener.accept().await.expect("a peer");
    let handshake = tokio::spawn(async move { incoming.handshake().await.map(drop) });
    let deadline = Instant::now() + QUIET;
    timeout(AT_ONCE, service.listener.close(deadline)).await.expect("closing ends after its deadline");
    let handshake = timeout(AT_ONCE, handshake).await.expect("the handshake is cut").unwrap();
    assert!(handshake.is_err());
    drop(stalled);
}

/// Closing takes no longer than what it waits for.
pub async fn closing_ends_with_the_last_stream<H: Harness>() {
    let mut service = Service::<H>::start().await;
    let (client, server) = service.stream().await;
    let closing = pending(service.listener.close(Instant::now() + 10 * super::PATIENCE)).await;
    drop((client, server));
    timeout(AT_ONCE, closing).await.expect("closing ends with the last stream").unwrap();
}

/// Closing leaves nothing behind that would keep the next one from listening.
pub async fn an_address_can_be_used_again<H: Harness>() {
    let mut service = Service::<H>::start().await;
    for _ in 0..3 {
        let (mut here, mut there) = service.stream().await;
        passes(&mut here.stream, &mut there.stream).await;
        let Service { harness, transport, server, tls, listener, at } = service;
        listener.close(Instant::now()).await;
        let listener = transport.listen(&at, tls.clone()).await.expect("a listener once more");
        service = Service { harness, transport, server, tls, listener, at };
    }
}

/// A handshake with rustls itself over a raw stream, which shows what was agreed on.
async fn raw_handshake<H: ByteStreamHarness>(
    service: &mut Service<H>,
    config: ClientConfig,
) -> (io::Result<tokio_rustls::client::TlsStream<Stream>>, Result<Ends, HandshakeError>) {
    let stream = service.harness.connect_raw(&service.at).await;
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let serve = async { service.listener.accept().await.expect("a peer").handshake().await };
    tokio::join!(TlsConnector::from(Arc::new(config)).connect(name, stream), serve)
}

/// The stock daemon answers a client that does not negotiate a protocol, and so does ours.
pub async fn a_client_without_alpn_is_answered<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let mut config = service.server.client_config(None, &[version]);
        config.alpn_protocols.clear();
        let (client, server) = raw_handshake(&mut service, config).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        client.write_all(b"!").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(server.next_stream().await.unwrap().read_u8().await.unwrap(), b'!');
        assert_eq!(client.get_ref().1.alpn_protocol(), None);
    }
}

/// The stock client offers `grpc-exp` before `h2` and P-256 alone, and wants `h2` agreed on.
pub async fn a_client_of_the_stock_service_is_answered<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    for version in service.harness.tls_versions() {
        let mut config = p256_only(&service.server, version);
        config.alpn_protocols = vec![b"grpc-exp".to_vec(), b"h2".to_vec()];
        let (client, server) = raw_handshake(&mut service, config).await;
        let client = client.unwrap();
        assert!(server.unwrap().peer().certificate.is_some());
        let (_, agreed) = client.get_ref();
        assert_eq!(agreed.alpn_protocol(), Some(b"h2".as_slice()));
        assert_eq!(agreed.protocol_version(), Some(version.version));
        assert_eq!(agreed.handshake_kind(), Some(HandshakeKind::Full), "no second round trip");
        let shown: Vec<&[u8]> = agreed.peer_certificates().unwrap().iter().map(AsRef::as_ref).collect();
        assert!(
            shown == [service.server.identity().certificate(), service.server.root_der()],
            "in this order"
        );
    }
}

/// There is one stream, for the client to open and for the server to take.
pub async fn a_connection_has_one_stream<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    let (mut client, mut server) = service.connect(service.server.client(None)).await;
    let streams = open(&mut client, &mut server).await;
    assert!(matches!(client.open_stream().await, Err(ConnectError::NoStream)));
    assert!(server.next_stream().await.is_none());
    drop(streams);
}

/// A peer that speaks something else, or leaves in the middle, is a failed handshake.
pub async fn what_is_no_tls_is_refused<H: ByteStreamHarness>() {
    let mut service = Service::<H>::start().await;
    let hello = client_hello();
    for said in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 64], &hello[..hello.len() / 2], &[]] {
        let mut peer = service.harness.connect_raw(&service.at).await;
        peer.write_all(said).await.unwrap();
        peer.shutdown().await.unwrap();
        let refused = service.listener.accept().await.expect("a peer").handshake().await;
        assert!(matches!(refused, Err(HandshakeError::Tls(_))));
    }
}

/// Without descriptors accepting fails for the moment, and goes on once there are some.
#[cfg(unix)]
pub async fn running_out_of_descriptors_is_transient<H: ByteStreamHarness>() {
    use crate::AcceptError;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let mut service = Service::<H>::start().await;
    let first = service.harness.connect_raw(&service.at).await;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 256, most).unwrap();
    let mut others = Vec::new();
    let out_of_descriptors = loop {
        match std::fs::File::open("/dev/null") {
            Ok(file) => others.push(file),
            Err(error) => break error,
        }
    };

    for _ in 0..3 {
        match service.listener.accept().await.map(|incoming| incoming.origin().clone()) {
            Err(AcceptError::Transient(error)) => {
                assert_eq!(error.raw_os_error(), out_of_descriptors.raw_os_error());
            }
            other => panic!("{other:?}"),
        }
    }

    drop(others);
    let waited = service.listener.accept().await.expect("the peer that waited");
    drop((first, waited));
    let (mut client, mut server) = service.stream().await;
    passes(&mut client.stream, &mut server.stream).await;
}
