//! A server that writes down what it is told: whose clients are not there yet, or are deceived.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use transport::tls::{Identity, RootCertificate, ServerTls};
use transport::{Connection, Endpoint, Transport};

/// How long a client may take to say all that it has to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server under a root of its own.
pub(crate) struct Recorder {
    /// Its address.
    pub(crate) endpoint: Endpoint,
    /// Its root.
    pub(crate) root: RootCertificate,
    /// Its root, in PEM.
    pub(crate) root_pem: String,
    record: Arc<Mutex<Record>>,
    _runtime: Runtime,
}

/// What a recorder was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// How many connections there were.
    pub(crate) arrived: usize,
    /// How many of them completed the handshake, with a certificate or without one.
    pub(crate) trusted: usize,
    /// How many of them came with a certificate.
    pub(crate) identified: usize,
    /// What was said over them, all after TLS.
    pub(crate) said: Vec<u8>,
}

impl Record {
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.said.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl Recorder {
    /// Listens at `address`. Ends when it is dropped.
    pub(crate) fn start(address: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "Multipass Root CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_pem = params.self_signed(&key).expect("a root").pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = own.signed_by(&key, &issuer).expect("a certificate").pem();
        let root = RootCertificate::from_pem(root_pem.as_bytes()).expect("a root certificate");
        let identity = Identity::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes());
        let tls = ServerTls::new(identity.expect("an identity").followed_by(&root)).expect("TLS");

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let address: Endpoint = address.parse().expect("an address");
        let transport: Box<dyn Transport> = match &address {
            Endpoint::Unix(_) => Box::new(transport_unix::UnixTransport::default()),
            Endpoint::Tcp(_) => Box::new(transport_tcp::TcpTransport::default()),
            _ => Box::new(transport_quic::QuicTransport::default()),
        };
        let mut listener = runtime.block_on(transport.listen(&address, tls)).expect("a listener");
        let endpoint = listener.endpoints().first().expect("an address").clone();
        let record = Arc::new(Mutex::new(Record::default()));
        let noted = Arc::clone(&record);
        runtime.spawn(async move {
            while let Ok(incoming) = listener.accept().await {
                noted.lock().unwrap().arrived += 1;
                if let Ok(connection) = incoming.handshake().await {
                    noted.lock().unwrap().trusted += 1;
                    // One client at a time: each ends when its time is over.
                    let _ = timeout(PATIENCE, listen_to(connection, &noted)).await;
                }
            }
        });
        Self { endpoint, root, root_pem, record, _runtime: runtime }
    }

    /// What it was told so far.
    pub(crate) fn record(&self) -> Record {
        self.record.lock().unwrap().clone()
    }
}

/// Writes down what a client says, until it has said nothing for a moment. It gets no answer.
async fn listen_to(mut connection: Box<dyn Connection>, record: &Mutex<Record>) {
    const MOMENT: Duration = Duration::from_millis(500);
    record.lock().unwrap().identified += usize::from(connection.peer().certificate.is_some());
    let Some(mut stream) = connection.next_stream().await else { return };
    let mut buffer = [0; 4096];
    while let Ok(Ok(count @ 1..)) = timeout(MOMENT, stream.read(&mut buffer)).await {
        record.lock().unwrap().said.extend(&buffer[..count]);
    }
}
