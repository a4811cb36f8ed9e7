//! A server of http and https on a port of its own, which says what it is told to say. It ends with its test's process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{Certificate, CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server, and what it was asked for.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// What is asked for: the lines of a request, to the empty one.
#[derive(Clone, Debug)]
pub struct Request(String);

/// What the server says to a request, and what it does then.
pub struct Say {
    bytes: Vec<u8>,
    then: Then,
}

enum Then {
    HangUp,
    /// Keep the connection open until the client ends it.
    KeepSilent,
    /// Send a byte every ten milliseconds until then.
    Drip,
}

impl Server {
    /// Serves http.
    ///
    /// # Panics
    /// There is no port.
    pub fn start(say: impl Fn(&Request) -> Say + Send + Sync + 'static) -> Self {
        Self::start_over(say, Ok)
    }

    /// Serves https, with a certificate for `localhost` that is its own authority.
    ///
    /// # Panics
    /// There is no port.
    pub fn start_tls(say: impl Fn(&Request) -> Say + Send + Sync + 'static) -> (Self, Certificate) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec!["localhost".into()]).expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let der = PrivateKeyDer::try_from(key.serialize_der()).expect("the key's form");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .expect("a certificate and its key");
        let config = Arc::new(config);
        let server = Self::start_over(say, move |tcp| {
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok(StreamOwned::new(connection, tcp))
        });
        (server, certificate)
    }

    fn start_over<S: Read + Write>(
        say: impl Fn(&Request) -> Say + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, shared) = (Arc::clone(&requests), Arc::new((say, wrap)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, shared) = (Arc::clone(&seen), Arc::clone(&shared));
                // A client that goes away is no fault of this server's.
                std::thread::spawn(move || stream.and_then(|tcp| serve((shared.1)(tcp)?, &shared.0, &seen)));
            }
        });
        Self { port, requests }
    }

    /// The port, of the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it was asked so far.
    ///
    /// # Panics
    /// A thread of the server's has.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the requests").clone()
    }
}

impl Request {
    /// As it was sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What of the server is asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }

    /// A header's value; its name is given in lower case, as it is sent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The first byte that is wanted, if not all are.
    #[must_use]
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

impl Say {
    /// These bytes, whatever they are.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::HangUp }
    }

    /// A whole answer: its first line without the version, its headers, and what follows.
    #[must_use]
    pub fn answer(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
        Self::bytes([head.as_bytes(), body].concat())
    }

    /// The same, with the connection left open.
    #[must_use]
    pub fn then_keeps_silent(self) -> Self {
        Self { then: Then::KeepSilent, ..self }
    }

    /// The same, and then a byte at a time without end.
    #[must_use]
    pub fn then_drips(self) -> Self {
        Self { then: Then::Drip, ..self }
    }
}

fn serve(
    stream: impl Read + Write,
    say: &impl Fn(&Request) -> Say,
    seen: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let request = Request(request);
    seen.lock().expect("the requests").push(request.clone());
    let said = say(&request);
    stream.get_mut().write_all(&said.bytes)?;
    stream.get_mut().flush()?;
    match said.then {
        Then::HangUp => Ok(()),
        Then::KeepSilent => io::copy(&mut stream, &mut io::sink()).map(drop),
        Then::Drip => loop {
            std::thread::sleep(Duration::from_millis(10));
            stream.get_mut().write_all(b"0")?;
            stream.get_mut().flush()?;
        },
    }
}
