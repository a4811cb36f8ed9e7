//! An HTTP server on a port of its own, which says what it is told to say. It ends with its test's process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A server, and what it was asked for.
pub(super) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    /// The first byte that is wanted, if not all are.
    pub(super) from: Option<usize>,
}

/// What it says to each, in bytes, and whether the connection is then kept open until the client ends it.
pub(super) struct Say {
    pub(super) bytes: Vec<u8>,
    pub(super) then_keeps_silent: bool,
}

impl Server {
    pub(super) fn start(say: impl Fn(&Request) -> Say + Send + Sync + 'static) -> Self {
        Self::start_over(say, Ok)
    }

    /// One that puts something between itself and the bytes, such as TLS.
    pub(super) fn start_over<S: Read + Write>(
        say: impl Fn(&Request) -> Say + Send + Sync + 'static,
        wrap: impl Fn(std::net::TcpStream) -> io::Result<S> + Send + Sync + 'static,
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

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the requests").clone()
    }
}

impl Say {
    /// A whole answer: its first line without the version, its headers, and what follows.
    pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
        Self { bytes: [head.as_bytes(), body].concat(), then_keeps_silent: false }
    }

    pub(super) fn then_keeps_silent(self) -> Self {
        Self { then_keeps_silent: true, ..self }
    }
}

fn serve(
    stream: impl Read + Write,
    say: &impl Fn(&Request) -> Say,
    seen: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let from =
        lines.iter().find_map(|line| line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse().ok());
    let request = Request { path, from };
    seen.lock().expect("the requests").push(request.clone());
    let said = say(&request);
    stream.get_mut().write_all(&said.bytes)?;
    stream.get_mut().flush()?;
    if said.then_keeps_silent {
        io::copy(&mut stream, &mut io::sink())?;
    }
    Ok(())
}
