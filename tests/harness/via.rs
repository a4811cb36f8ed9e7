//! The transports, for tests that go over each of them.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::{fs, io};

/// How a daemon is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// A Unix socket.
    #[default]
    Unix,
    /// TCP, on loopback.
    Tcp,
    /// QUIC, on loopback.
    Quic,
}

impl Via {
    /// An address for the daemon whose files are in `home`: the same one each time, so that a daemon that is
    /// started again is found where it was.
    pub(crate) fn address(self, home: &Path, socket: &Path) -> io::Result<String> {
        let (scheme, kept) = match self {
            Self::Unix => return Ok(format!("unix:{}", socket.display())),
            Self::Tcp => ("", home.join("tcp-port")),
            Self::Quic => ("quic:", home.join("quic-port")),
        };
        let port = match fs::read_to_string(&kept) {
            Ok(port) => port,
            Err(_) => {
                let port = self.free_port()?.to_string();
                fs::write(&kept, &port)?;
                port
            }
        };
        Ok(format!("{scheme}localhost:{port}"))
    }

    /// A port on which nothing listens just now.
    fn free_port(self) -> io::Result<u16> {
        let any = ("127.0.0.1", 0);
        let bound = match self {
            Self::Quic => UdpSocket::bind(any)?.local_addr()?,
            _ => TcpListener::bind(any)?.local_addr()?,
        };
        Ok(bound.port())
    }
}
