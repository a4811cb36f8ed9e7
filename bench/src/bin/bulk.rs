//! Many bytes through one QUIC stream, by our transport and by quinn as it comes, one after the other in each round:
//! prints the seconds that each took, by round.
//!
//! Both ends are in this process, over the loopback interface, and present the same certificate. quinn has its own
//! settings, whose windows are larger than ours: what ours cost is part of what is measured. Nothing is compared but
//! the length of what arrives.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use bench::seconds_since;
use clap::Parser;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use transport::tls::{ClientTls, Dates, Identity, RootCertificate, SERVER_NAME, ServerTls};
use transport::{Endpoint, HostPort, Transport};
use transport_quic::QuicTransport;

/// What is written at once, and the most that is read at once, in bytes.
const CHUNK: usize = 64 * 1024;
const MEGABYTE: usize = 1_000_000;

/// Measures how long many bytes take through one QUIC stream.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each is measured
    #[arg(long)]
    rounds: usize,
    /// Megabytes in each measurement
    #[arg(long, default_value_t = 100)]
    megabytes: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let length = arguments.megabytes * MEGABYTE;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let (server, client) = tls()?;
    for _ in 0..arguments.rounds {
        bare.push(runtime.block_on(by_quinn(&server, &client, length))?);
        ours.push(runtime.block_on(by_transport(&server, &client, length))?);
    }
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "bare": bare, "ours": ours }))?;
    Ok(())
}

/// A service's side and a client's, which trust each other.
fn tls() -> anyhow::Result<(ServerTls, ClientTls)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let root = RootCertificate::from_pem(authority.self_signed(&authority_key)?.pem().as_bytes())?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([SERVER_NAME.to_owned()])?.signed_by(&key, &issuer)?;
    let identity = Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?;
    Ok((ServerTls::new(identity)?, ClientTls::new(root, Dates::Count, None)?))
}

async fn by_quinn(server: &ServerTls, client: &ClientTls, length: usize) -> anyhow::Result<f64> {
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server.for_quic())?));
    let listener = quinn::Endpoint::server(config, ([127, 0, 0, 1], 0).into())?;
    let at = listener.local_addr()?;
    let receiving = tokio::spawn(async move {
        let connection = listener.accept().await.context("nobody came")?.await?;
        let (mut send, receive) = connection.accept_bi().await?;
        let received = receive_all(receive).await?;
        send.write_all(b"!").await?;
        let _ = connection.closed().await;
        anyhow::Ok(received)
    });
    let dialler = quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?;
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(client.for_quic().0)?));
    let connection = dialler.connect_with(config, at, SERVER_NAME)?.await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let start = Instant::now();
    send_all(&mut send, length).await?;
    ensure!(receive.read_u8().await? == b'!');
    let took = seconds_since(start);
    connection.close(0_u8.into(), b"");
    ensure!(receiving.await?? == length, "not all arrived");
    Ok(took)
}

async fn by_transport(server: &ServerTls, client: &ClientTls, length: usize) -> anyhow::Result<f64> {
    let transport = QuicTransport::default();
    let at = Endpoint::Quic(HostPort::new("127.0.0.1", 0));
    let mut listener = transport.listen(&at, server.clone()).await?;
    let at = listener.endpoints().first().context("no address")?.clone();
    let receiving = tokio::spawn(async move {
        let mut connection = listener.accept().await?.handshake().await?;
        let (receive, mut send) = tokio::io::split(connection.next_stream().await.context("no stream")?);
        let received = receive_all(receive).await?;
        send.write_all(b"!").await?;
        ensure!(connection.next_stream().await.is_none());
        Ok(received)
    });
    let mut connection = transport.dial(&at, client.clone()).await?;
    let mut stream = connection.open_stream().await?;
    let start = Instant::now();
    send_all(&mut stream, length).await?;
    ensure!(stream.read_u8().await? == b'!');
    let took = seconds_since(start);
    connection.close().await;
    ensure!(receiving.await?? == length, "not all arrived");
    Ok(took)
}

async fn send_all(mut to: impl tokio::io::AsyncWrite + Unpin, length: usize) -> anyhow::Result<()> {
    let chunk = vec![7; CHUNK];
    let mut left = length;
    while left > 0 {
        let next = chunk.get(..left.min(CHUNK)).context("within the chunk")?;
        left -= to.write(next).await?;
    }
    to.shutdown().await?;
    Ok(())
}

async fn receive_all(mut from: impl tokio::io::AsyncRead + Unpin) -> anyhow::Result<usize> {
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    loop {
        match from.read(&mut chunk).await? {
            0 => return Ok(received),
            count => received += count,
        }
    }
}
