//! The servers on other machines that this user's clients know, in a text file of the user's: a line for each, with
//! its address and the fingerprint of its root.
//!
//! A line that is not understood is an error, and so is a file that others can change: a server that is known must
//! not become an unknown one, about which the user is asked again, because of a slip.

use std::net::IpAddr;
use std::path::PathBuf;

use thiserror::Error;
use transport::tls::RootFingerprint;
use transport::{Endpoint, HostPort};

use crate::files::list::{self, ListError, ListFile, ListSpec, OnConflict};

const SPEC: ListSpec = ListSpec {
    file: "known_servers",
    entries: "known servers",
    header: "\
# The servers on other machines that multipass knows. A line has an address and the fingerprint of the root there,
# as `multipassd fingerprint` prints it on that machine. Without its line, a server is unknown again.
",
};

/// Why it is not known whether a server is known.
#[derive(Debug, Error)]
pub(crate) enum KnownServersError {
    /// The list cannot be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// Another program of the user's has written another fingerprint while the user was asked about this one.
    #[error("meanwhile {endpoint} became known by another fingerprint, in line {line} of {path}", path = path.display())]
    Contradicted {
        /// The server.
        endpoint: Endpoint,
        /// The file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: usize,
    },
}

impl KnownServersError {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::List(fault) => fault.next_step(),
            Self::Contradicted { .. } => "Run the command again, and compare what the line says with what \
                `multipassd fingerprint` prints on the service's machine."
                .to_owned(),
        }
    }
}

/// The user's list.
#[derive(Debug)]
pub(crate) struct KnownServers {
    list: ListFile,
}

/// What is known of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownServer {
    /// Its root's fingerprint.
    pub(crate) fingerprint: RootFingerprint,
    /// The line that says so; the first is 1.
    pub(crate) line: usize,
}

impl KnownServers {
    /// The current user's list; nothing is read or created yet.
    ///
    /// # Errors
    /// As of [`ListFile::of_user`].
    pub(crate) fn of_user() -> Result<Self, KnownServersError> {
        Ok(Self { list: ListFile::of_user(SPEC)? })
    }

    /// The list's file, which may not exist.
    pub(crate) fn file(&self) -> PathBuf {
        self.list.path()
    }

    /// What is known of the server at `endpoint`.
    ///
    /// # Errors
    /// The list cannot be read, or cannot be relied upon.
    pub(crate) fn find(&self, endpoint: &Endpoint) -> Result<Option<KnownServer>, KnownServersError> {
        Ok(self.find_in(&self.list.read()?, endpoint)?)
    }

    /// Knows the server at `endpoint` by `fingerprint` from now on. What other lines say stays as it is. Returns
    /// whether that is new.
    ///
    /// # Errors
    /// The list cannot be relied upon, contradicts, or cannot be written; it is as it was then.
    pub(crate) fn remember(
        &self,
        endpoint: &Endpoint,
        fingerprint: RootFingerprint,
        on_conflict: OnConflict,
    ) -> Result<bool, KnownServersError> {
        if self.find(endpoint)?.is_some_and(|known| known.fingerprint == fingerprint) {
            return Ok(false);
        }
        self.list.change(|lines| {
            let known = self.find_in(&lines.join("\n"), endpoint)?;
            if let (OnConflict::Refuse, Some(known)) = (on_conflict, &known)
                && known.fingerprint != fingerprint
            {
                let (endpoint, path, line) = (endpoint.clone(), self.file(), known.line);
                return Err(KnownServersError::Contradicted { endpoint, path, line });
            }
            let entry = format!("{} {fingerprint}", normalized(endpoint));
            match known.and_then(|known| lines.get_mut(known.line.saturating_sub(1))) {
                Some(line) => *line = entry,
                None => lines.push(entry),
            }
            Ok(true)
        })
    }

    /// What `text` says of the server at `endpoint`. All of it has to be understood.
    fn find_in(&self, text: &str, endpoint: &Endpoint) -> Result<Option<KnownServer>, ListError> {
        let endpoint = normalized(endpoint);
        let mut found = None;
        for (line, content) in list::entries(text) {
            let damaged = |what| self.list.damaged(line, what);
            let Some((address, fingerprint)) = content.split_once(char::is_whitespace) else {
                return Err(damaged("is no address and fingerprint"));
            };
            let address: Endpoint = address.parse().map_err(|_| damaged("begins with no address"))?;
            let fingerprint =
                fingerprint.trim_start().parse().map_err(|_| damaged("ends with no fingerprint"))?;
            if normalized(&address) != endpoint {
                continue;
            }
            if found.replace(KnownServer { fingerprint, line }).is_some() {
                return Err(damaged("is about the same server as a line before it"));
            }
        }
        Ok(found)
    }
}

/// The one way to write an address, of those that surely mean the same.
fn normalized(endpoint: &Endpoint) -> Endpoint {
    let host_port = |at: &HostPort| {
        let host = match at.host.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => at.host.to_ascii_lowercase(),
        };
        HostPort::new(&host, at.port)
    };
    match endpoint {
        Endpoint::Tcp(at) => Endpoint::Tcp(host_port(at)),
        Endpoint::Quic(at) => Endpoint::Quic(host_port(at)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
