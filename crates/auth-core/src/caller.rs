//! Who calls, as far as the transport has proven it, and who may be the first client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::ClientCertificate;

/// The other side of a connection.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How it reached the service.
    pub channel: Channel,
    /// The certificate that it presented and proved to hold the key of.
    pub certificate: Option<ClientCertificate>,
}

/// How a caller reached the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A Unix socket, with the credentials that the kernel vouches for.
    Local {
        /// Effective user of the process when it connected.
        uid: u32,
        /// Effective group.
        gid: u32,
        /// Supplementary groups of the process itself, not of a name-service look-up.
        groups: Arc<[u32]>,
    },
    /// A network address; loopback is one too.
    Remote(IpAddr),
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid, .. } => write!(f, "uid:{uid}"),
            Self::Remote(address) => write!(f, "address:{address}"),
        }
    }
}

/// Who is behind a caller, as far as an attacker cannot change it at will: what limits count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A user of this machine, by the kernel's word.
    User(u32),
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 /64: what one customer of a provider is usually given.
    V6([u8; 8]),
    /// This machine over the network: any of its users may use any of its loopback addresses.
    Loopback,
    /// All that no table has room for.
    Others,
}

impl Source {
    /// The source behind a channel.
    #[must_use]
    pub fn of(channel: &Channel) -> Self {
        match channel {
            Channel::Local { uid, .. } => Self::User(*uid),
            Channel::Remote(address) => match address.to_canonical() {
                address if address.is_loopback() => Self::Loopback,
                IpAddr::V4(address) => Self::V4(address.octets()),
                IpAddr::V6(address) => {
                    let [a, b, c, d, e, f, g, h, ..] = address.octets();
                    Self::V6([a, b, c, d, e, f, g, h])
                }
            },
        }
    }
}

/// As a [`Channel`], where it is one user or one address: `uid:1000`, `address:192.0.2.1`,
/// `address:2001:db8::/64`, `loopback`, `others`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::V4(address) => write!(f, "address:{}", Ipv4Addr::from(*address)),
            Self::V6(network) => {
                let network = u128::from(u64::from_be_bytes(*network)) << 64;
                write!(f, "address:{}/64", Ipv6Addr::from(network))
            }
            Self::Loopback => f.write_str("loopback"),
            Self::Others => f.write_str("others"),
        }
    }
}

/// Who is entitled to be the first client: over the Unix socket only, root, the daemon's own user, or
/// a member of one group. Over a network nobody is enrolled for being first.
#[derive(Clone, Copy, Debug)]
pub struct FirstClientRule {
    /// The daemon's own user.
    pub daemon_uid: u32,
    /// The administrators' group, if there is one.
    pub admin_gid: Option<u32>,
}

impl FirstClientRule {
    /// Whether a caller over this channel may be enrolled for being first.
    #[must_use]
    pub fn entitles(&self, channel: &Channel) -> bool {
        match channel {
            Channel::Local { uid, gid, groups } => {
                *uid == 0
                    || *uid == self.daemon_uid
                    || self.admin_gid.is_some_and(|admin| *gid == admin || groups.contains(&admin))
            }
            Channel::Remote(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_names() {
        for (address, name) in [
            ("192.0.2.1", "address:192.0.2.1"),
            ("::ffff:192.0.2.1", "address:192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
            ("127.0.0.9", "loopback"),
            ("::1", "loopback"),
        ] {
            let channel = Channel::Remote(address.parse().unwrap());
            assert_eq!(Source::of(&channel).to_string(), name);
        }
        let user = Channel::Local { uid: 1000, gid: 100, groups: [].into() };
        assert_eq!(Source::of(&user).to_string(), "uid:1000");
        assert_eq!(Source::Others.to_string(), "others");
    }
}
