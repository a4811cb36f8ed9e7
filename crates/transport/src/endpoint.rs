//! Addresses of the service as users write them.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// The longest path that fits a socket address: `sun_path` less its final NUL (unix(7)).
const MAX_UNIX_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// Where the service listens.
///
/// Written `unix:/path`, `host:port`, `tcp:host:port` or `quic:host:port`, each also with `://`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
    /// TCP.
    Tcp(HostPort),
    /// QUIC, over UDP.
    Quic(HostPort),
}

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The port; 0 asks the system to choose one when listening.
    pub port: u16,
}

impl HostPort {
    /// A host and port known to be well formed.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Whether the host is `localhost` or an address in 127/8, `::1`, or one of these mapped to IPv6.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>().map(|address| address.to_canonical().is_loopback());
        address.unwrap_or_else(|_| self.host.eq_ignore_ascii_case("localhost"))
    }
}

/// What is wrong in an address. Every message shows the address and how to write it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// Nothing was given.
    #[error("the address is empty; write unix:/path or host:port")]
    Empty,
    /// A scheme that no transport has.
    #[error("'{address}': '{scheme}' is no known transport; use unix, tcp or quic")]
    UnknownScheme {
        /// The address as given.
        address: String,
        /// Its part before the colon.
        scheme: String,
    },
    /// `unix:` without an absolute path.
    #[error("'{0}': the socket's path must begin with '/', as in unix:/run/multipass_socket")]
    PathNotAbsolute(String),
    /// A path that names a directory.
    #[error("'{0}': the socket's path ends in '/'; it must name a file")]
    PathIsDirectory(String),
    /// A path that does not fit a socket address.
    #[error("'{address}': the socket's path has {length} bytes; the system takes at most {MAX_UNIX_PATH}")]
    PathTooLong {
        /// The address as given.
        address: String,
        /// Length of the path, in bytes.
        length: usize,
    },
    /// A path with a NUL or another control character.
    #[error("'{}': the socket's path has a control character in it", .0.escape_debug())]
    PathControlCharacter(String),
    /// No colon and port at the end.
    #[error("'{0}': the port is missing; write host:port, as in localhost:50051")]
    PortMissing(String),
    /// A port that is no number from 0 to 65535.
    #[error("'{address}': '{port}' is not a port; it must be a number from 0 to 65535")]
    PortInvalid {
        /// The address as given.
        address: String,
        /// Its part after the last colon.
        port: String,
    },
    /// Nothing before the port.
    #[error("'{0}': the host is missing; write host:port, as in localhost:50051")]
    HostMissing(String),
    /// An IPv6 address without brackets, or brackets that do not hold one.
    #[error("'{0}': write an IPv6 address in brackets, as in [::1]:50051")]
    BadIpv6(String),
    /// A character that no host name has.
    #[error("'{}': '{}' is not a host name", .address.escape_debug(), .host.escape_debug())]
    BadHost {
        /// The address as given.
        address: String,
        /// Its part before the port.
        host: String,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(address: &str) -> Result<Self, EndpointError> {
        if address.is_empty() {
            return Err(EndpointError::Empty);
        }
        if let Some(rest) = scheme(address, "unix") {
            return unix_path(address, rest).map(Self::Unix);
        }
        if let Some(rest) = scheme(address, "tcp") {
            return host_port(address, rest).map(Self::Tcp);
        }
        if let Some(rest) = scheme(address, "quic") {
            return host_port(address, rest).map(Self::Quic);
        }
        if let Some((scheme, _)) = address.split_once("://") {
            return Err(EndpointError::UnknownScheme {
                address: address.to_owned(),
                scheme: scheme.to_owned(),
            });
        }
        host_port(address, address).map(Self::Tcp)
    }
}

impl Endpoint {
    /// The transport's name: what an address of its kind begins with, and the feature of a build that has it.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Tcp(_) => "tcp",
            Self::Quic(_) => "quic",
        }
    }

    /// Whether the service at this address is on the same machine, as far as the address tells: a Unix socket,
    /// or a loopback address.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(at) | Self::Quic(at) => at.is_loopback(),
        }
    }
}

/// What follows `name:` or `name://`, if the address begins so.
fn scheme<'a>(address: &'a str, name: &str) -> Option<&'a str> {
    let rest = address.strip_prefix(name)?.strip_prefix(':')?;
    Some(rest.strip_prefix("//").unwrap_or(rest))
}

fn unix_path(address: &str, path: &str) -> Result<PathBuf, EndpointError> {
    if !path.starts_with('/') {
        return Err(EndpointError::PathNotAbsolute(address.to_owned()));
    }
    if path.ends_with('/') {
        return Err(EndpointError::PathIsDirectory(address.to_owned()));
    }
    if path.len() > MAX_UNIX_PATH {
        return Err(EndpointError::PathTooLong { address: address.to_owned(), length: path.len() });
    }
    if path.chars().any(char::is_control) {
        return Err(EndpointError::PathControlCharacter(address.to_owned()));
    }
    Ok(PathBuf::from(path))
}

fn host_port(address: &str, rest: &str) -> Result<HostPort, EndpointError> {
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let Some((host, after)) = bracketed.split_once(']') else {
                return Err(EndpointError::BadIpv6(address.to_owned()));
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(EndpointError::BadIpv6(address.to_owned()));
            }
            let Some(port) = after.strip_prefix(':') else {
                return Err(EndpointError::PortMissing(address.to_owned()));
            };
            (host, port)
        }
        None => {
            let Some((host, port)) = rest.rsplit_once(':') else {
                return Err(if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) {
                    EndpointError::HostMissing(address.to_owned())
                } else {
                    EndpointError::PortMissing(address.to_owned())
                });
            };
            if host.contains(':') {
                return Err(
                    match rest.parse::<std::net::Ipv6Addr>().is_ok()
                        || host.parse::<std::net::Ipv6Addr>().is_ok()
                    {
                        true => EndpointError::BadIpv6(address.to_owned()),
                        false => EndpointError::UnknownScheme {
                            address: address.to_owned(),
                            scheme: host.split(':').next().unwrap_or_default().to_owned(),
                        },
                    },
                );
            }
            if host.is_empty() {
                return Err(EndpointError::HostMissing(address.to_owned()));
            }
            if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
                return Err(EndpointError::BadHost { address: address.to_owned(), host: host.to_owned() });
            }
            (host, port)
        }
    };
    // `u16::from_str` would take a leading '+'.
    match port.parse() {
        Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => Ok(HostPort::new(host, number)),
        _ => Err(EndpointError::PortInvalid { address: address.to_owned(), port: port.to_owned() }),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Two slashes after the colon would be taken for the beginning of a URL.
            Self::Unix(path) if path.as_os_str().as_encoded_bytes().starts_with(b"//") => {
                write!(f, "unix://{}", path.display())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(at) => write!(f, "{at}"),
            Self::Quic(at) => write!(f, "quic:{at}"),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write_is_understood() {
        let unix = |path: &str| Endpoint::Unix(PathBuf::from(path));
        let tcp = |host, port| Endpoint::Tcp(HostPort::new(host, port));
        let quic = |host, port| Endpoint::Quic(HostPort::new(host, port));
        for (text, expected) in [
            ("unix:/run/multipass_socket", unix("/run/multipass_socket")),
            ("unix:///run/multipass_socket", unix("/run/multipass_socket")),
            ("unix:/a b:c", unix("/a b:c")),
            ("unix:////a", unix("//a")),
            ("unix://///a", unix("///a")),
            ("localhost:50051", tcp("localhost", 50051)),
            ("tcp:localhost:50051", tcp("localhost", 50051)),
            ("tcp://10.0.0.1:1", tcp("10.0.0.1", 1)),
            ("[::1]:50051", tcp("::1", 50051)),
            ("tcp:[::1]:0", tcp("::1", 0)),
            ("quic:example.org:443", quic("example.org", 443)),
            ("quic://[fe80::1]:65535", quic("fe80::1", 65535)),
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text} printed and read again");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("unix:/{}", "x".repeat(MAX_UNIX_PATH));
        for (text, part) in [
            ("", "is empty"),
            ("unix:", "must begin with '/'"),
            ("unix:relative", "must begin with '/'"),
            ("unix:/", "must name a file"),
            ("unix:/run/", "must name a file"),
            ("unix:/a\0b", "control character"),
            (long.as_str(), "the system takes at most"),
            ("http://localhost:80", "'http' is no known transport"),
            ("ssh:localhost:22", "'ssh' is no known transport"),
            ("localhost", "the port is missing"),
            ("50051", "the host is missing"),
            (":50051", "the host is missing"),
            ("tcp:50051", "the host is missing"),
            ("localhost:", "'' is not a port"),
            ("localhost:+1", "'+1' is not a port"),
            ("localhost:65536", "'65536' is not a port"),
            ("localhost:http", "'http' is not a port"),
            ("::1:50051", "in brackets"),
            ("[::1]", "the port is missing"),
            ("[::1", "in brackets"),
            ("[localhost]:1", "in brackets"),
            ("lo cal:1", "'lo cal' is not a host name"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (address, here) in [
            ("unix:/run/socket", true),
            ("localhost:1", true),
            ("LocalHost:1", true),
            ("127.0.0.1:1", true),
            ("127.255.0.9:1", true),
            ("quic:[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("localhost.example.org:1", false),
            ("127.0.0.1.example.org:1", false),
            ("10.0.2.2:50051", false),
        ] {
            assert_eq!(address.parse::<Endpoint>().unwrap().is_on_this_machine(), here, "{address}");
        }
    }

    #[test]
    fn the_longest_path_fits() {
        let path = format!("/{}", "x".repeat(MAX_UNIX_PATH - 1));
        assert_eq!(format!("unix:{path}").parse(), Ok(Endpoint::Unix(PathBuf::from(path))));
    }
}
