//! What quinn is told: its limits. MTU discovery and congestion control are left as they come.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{AckFrequencyConfig, ClientConfig, EndpointConfig, ServerConfig, TransportConfig, VarInt};
use transport::tls::{ClientTls, ServerTls, Verdict};

/// QUIC version 1 (RFC 9000), and no draft of it.
const VERSIONS: [u32; 1] = [1];
/// Streams that a client has open at once. One carries many calls. quinn tells clients of room for more once there is
/// room for two.
const MAX_STREAMS: u32 = 8;
/// What a peer may send before it is read, in bytes: a stream and a connection. It bounds what a stranger makes
/// us hold, also where the first byte is kept back.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;
/// What is kept of a connection until the peer has acknowledged it, in bytes.
const SEND_WINDOW: u64 = 512 * 1024;
/// So many datagrams the peer may receive before it acknowledges them in one of its own
/// (draft-ietf-quic-ack-frequency; quinn knows it on both sides). A call takes two and its answer is the third: quinn's
/// own 1 makes each side acknowledge what its next datagram would have acknowledged anyway. The delay of 25 ms at most
/// stays, and so does the answer at once where some are missing.
const UNACKNOWLEDGED: u32 = 8;
/// A peer from which nothing came for so long is gone.
const IDLE_TIMEOUT_MS: u32 = 30_000;
/// How often a peer that has nothing to say shows that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Peers that wait to be accepted. Further ones are not heard, and ask again after a while.
const MAX_WAITING: usize = 512;
/// What such a peer may send beyond its first datagram, in bytes: the rest of a ClientHello, and that again.
const WAITING_BUFFER: u64 = 16 * 1024;
const WAITING_BUFFERS: u64 = 2 * 1024 * 1024;

pub(crate) fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.supported_versions(VERSIONS.to_vec());
    config
}

pub(crate) fn server(tls: &ServerTls) -> Result<ServerConfig, NoInitialCipherSuite> {
    let crypto = QuicServerConfig::try_from(tls.for_quic())?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport(MAX_STREAMS))
        .max_incoming(MAX_WAITING)
        .incoming_buffer_size(WAITING_BUFFER)
        .incoming_buffer_size_total(WAITING_BUFFERS);
    Ok(config)
}

pub(crate) fn client(tls: &ClientTls) -> Result<(ClientConfig, Verdict), NoInitialCipherSuite> {
    let (crypto, verdict) = tls.for_quic();
    let crypto = QuicClientConfig::try_from(crypto)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    // The service opens no streams.
    config.transport_config(transport(0));
    Ok((config, verdict))
}

/// For a side whose peer may have `streams` open.
fn transport(streams: u32) -> Arc<TransportConfig> {
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(UNACKNOWLEDGED.into());
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW)
        .ack_frequency_config(Some(acknowledgements))
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .keep_alive_interval(Some(KEEP_ALIVE));
    Arc::new(config)
}
