//! A remote: its name, its address and the fingerprint of its root, and how they are written in a line of the file.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use transport::Endpoint;
use transport::tls::RootFingerprint;

use super::RemotesError;
use crate::connection::transports;

/// Stands for a fingerprint where there is none.
const NO_FINGERPRINT: &str = "-";
/// The remote that is always there: this machine's own service, at its usual address.
pub(super) const LOCAL: &str = "local";
/// The longest name, in characters.
pub(super) const MAX_NAME_LENGTH: usize = 64;

/// What a remote is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteName(String);

/// It is no name of a remote.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum InvalidRemoteName {
    /// An address, most probably.
    #[error("it looks like an address; `multipass remote add NAME ADDRESS` gives an address a name")]
    Address,
    /// Anything else.
    #[error("a name begins with a letter, and has up to {MAX_NAME_LENGTH} letters, digits, '.', '_' and '-'")]
    Other,
}

impl RemoteName {
    /// The remote that is always there.
    pub(crate) fn local() -> Self {
        Self(LOCAL.to_owned())
    }

    /// Whether it is the one that is always there.
    pub(crate) fn is_local(&self) -> bool {
        self.0 == LOCAL
    }
}

impl FromStr for RemoteName {
    type Err = InvalidRemoteName;

    fn from_str(text: &str) -> Result<Self, InvalidRemoteName> {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        match text.chars().next() {
            _ if text.contains([':', '/']) || text.parse::<std::net::IpAddr>().is_ok() => {
                Err(InvalidRemoteName::Address)
            }
            Some(first) if first.is_ascii_alphabetic() && text.chars().all(is_plain) => {
                // One that is taken for the other would lead to another machine.
                let is_like_local = text != LOCAL && text.eq_ignore_ascii_case(LOCAL);
                match text.len() <= MAX_NAME_LENGTH && !is_like_local {
                    true => Ok(Self(text.to_owned())),
                    false => Err(InvalidRemoteName::Other),
                }
            }
            _ => Err(InvalidRemoteName::Other),
        }
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A service that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The name.
    pub(crate) name: RemoteName,
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// The fingerprint of its root; `None` where the system's root certificate counts, which is on this machine only.
    pub(crate) fingerprint: Option<RootFingerprint>,
}

impl Remote {
    /// The remote that is always there.
    pub(crate) fn local() -> Self {
        let endpoint = transports::default_endpoint();
        Self { name: RemoteName::local(), endpoint, fingerprint: None }
    }

    /// Makes sure that it can be kept.
    ///
    /// # Errors
    /// It would not be read from the file as it is, or is not to be changed.
    pub(crate) fn check(&self) -> Result<(), RemotesError> {
        if self.name.is_local() {
            return Err(RemotesError::Local);
        }
        match Self::parse(self.line().trim()).as_ref() == Ok(self) {
            true => Ok(()),
            false => Err(RemotesError::Unwritable(self.endpoint.clone())),
        }
    }

    /// Its line in the file.
    pub(super) fn line(&self) -> String {
        let fingerprint = self.fingerprint.map_or_else(|| NO_FINGERPRINT.to_owned(), |it| it.to_string());
        format!("{} {fingerprint} {}", self.name, self.endpoint)
    }

    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(fingerprint), Some(address)) = (words.next(), words.next(), words.next())
        else {
            return Err("is no name, fingerprint and address");
        };
        let name: RemoteName = name.parse().map_err(|_| "begins with no name of a remote")?;
        if name.is_local() {
            return Err("is about the remote 'local', which is built in");
        }
        let fingerprint = match fingerprint {
            NO_FINGERPRINT => None,
            digits => Some(digits.parse().map_err(|_| "has no fingerprint after the name")?),
        };
        let endpoint: Endpoint = address.parse().map_err(|_| "ends with no address")?;
        if fingerprint.is_none() && !endpoint.is_on_this_machine() {
            return Err("is about a service on another machine, and has no fingerprint");
        }
        Ok(Self { name, endpoint, fingerprint })
    }
}
