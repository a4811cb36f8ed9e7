//! How fast bytes go through one stream of QUIC: through ours, or through quinn's with everything as it comes, but
//! for the same TLS. Both ends are in this process, each in a runtime of its own, as in a daemon and a client.
//!
//! It prints how many bytes went through in a second.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bench::{read, seconds_since};
use clap::{Parser, ValueEnum};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;
use transport::tls::{CertificateDates, ClientTls, Identity, RootCertificate, SERVER_NAME, ServerTls};
use transport::{Endpoint, HostPort, Transport};
use transport_quic::QuicTransport;

/// What goes through.
const BYTES: usize = 100_000_000;
/// What is written or read at a time: as much as HTTP/2 would at most.
const PIECE: usize = 64 * 1024;
/// Nothing here takes longer; who waits longer waits in vain.
const LIMIT: Duration = Duration::from_secs(60);

/// Measures how fast bytes go through a stream.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(value_enum)]
    whose: Whose,
    #[arg(value_enum)]
    direction: Direction,
    /// The root certificate
    root: PathBuf,
    /// The server's certificate under it
    certificate: PathBuf,
    /// The private key of that
    key: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Whose {
    Ours,
    Bare,
}

/// Where the bytes go.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    Up,
    Down,
}

fn main() -> anyhow::Result<()> {
    let Arguments { whose, direction, root, certificate, key } = Arguments::parse();
    let server = ServerTls::new(Identity::from_pem(&read(&certificate)?, &read(&key)?)?)?;
    let client = ClientTls::new(RootCertificate::from_pem(&read(&root)?)?, CertificateDates::Ignored, None)?;
    let service = Builder::new_multi_thread().enable_all().build()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let seconds = runtime
        .block_on(async {
            let work = async {
                match whose {
                    Whose::Ours => ours(service.handle(), server, client, direction).await,
                    Whose::Bare => bare(service.handle(), &server, &client, direction).await,
                }
            };
            timeout(LIMIT, work).await
        })
        .with_context(|| format!("it was not done within {LIMIT:?}"))??;
    writeln!(std::io::stdout(), "{}", json!({ "per_second": BYTES as f64 / seconds }))?;
    Ok(())
}

async fn ours(
    service: &Handle,
    server: ServerTls,
    client: ClientTls,
    direction: Direction,
) -> anyhow::Result<f64> {
    let any = Endpoint::Quic(HostPort::new("127.0.0.1", 0));
    let mut listener =
        service.spawn(async move { QuicTransport::default().listen(&any, server).await }).await??;
    let [address, ..] = listener.endpoints() else { bail!("it listens nowhere") };
    let address = address.clone();
    let serving = service.spawn(async move {
        let mut connection = listener.accept().await?.handshake().await?;
        let stream = connection.next_stream().await.context("no stream came")?;
        serve(stream, direction).await
    });
    let mut connection = QuicTransport::default().dial(&address, client).await?;
    let seconds = measure(connection.open_stream().await?, direction).await?;
    serving.await??;
    Ok(seconds)
}

async fn bare(
    service: &Handle,
    server: &ServerTls,
    client: &ClientTls,
    direction: Direction,
) -> anyhow::Result<f64> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let crypto = QuicServerConfig::try_from(server.for_quic())?;
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = service.spawn(async move { quinn::Endpoint::server(config, any) }).await??;
    let address = endpoint.local_addr()?;
    let serving = service.spawn(async move {
        let connection = endpoint.accept().await.context("nobody came")?.await?;
        let (send, receive) = connection.accept_bi().await?;
        serve(tokio::io::join(receive, send), direction).await
    });
    let crypto = QuicClientConfig::try_from(client.for_quic().0)?;
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let dialer = quinn::Endpoint::client(any)?;
    let connection = dialer.connect_with(config, address, SERVER_NAME)?.await?;
    let (send, receive) = connection.open_bi().await?;
    let seconds = measure(tokio::io::join(receive, send), direction).await?;
    serving.await??;
    Ok(seconds)
}

/// The service's end: a byte tells of each that all has arrived, or that it is to be sent.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, direction: Direction) -> anyhow::Result<()> {
    match direction {
        Direction::Up => {
            receive(&mut stream, BYTES).await?;
            send(&mut stream, 1).await?;
        }
        Direction::Down => {
            receive(&mut stream, 1).await?;
            send(&mut stream, BYTES).await?;
        }
    }
    // Who ends first would take along what is still on its way.
    let rest = stream.read(&mut [0]).await;
    ensure!(!matches!(rest, Ok(1..)), "more came than was sent");
    Ok(())
}

/// The client's end: the seconds until all has arrived.
async fn measure(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    direction: Direction,
) -> anyhow::Result<f64> {
    let (up, down) = match direction {
        Direction::Up => (BYTES, 1),
        Direction::Down => (1, BYTES),
    };
    let start = Instant::now();
    send(&mut stream, up).await?;
    receive(&mut stream, down).await?;
    Ok(seconds_since(start))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), count: usize) -> anyhow::Result<()> {
    let piece = vec![0x5a; PIECE];
    let mut left = count;
    while left > 0 {
        let next = piece.get(..left).unwrap_or(&piece);
        stream.write_all(next).await?;
        left -= next.len();
    }
    Ok(stream.flush().await?)
}

async fn receive(stream: &mut (impl AsyncRead + Unpin), count: usize) -> anyhow::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut left = count;
    while left > 0 {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the stream ended {left} bytes early");
        left = left.checked_sub(read).context("more came than was sent")?;
    }
    Ok(())
}
