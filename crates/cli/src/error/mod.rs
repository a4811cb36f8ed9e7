//! Everything that ends a command before its time: what the user reads, what to do next, the exit code.
//!
//! It is beside the other folders: it joins the errors of those that have their own, and all report theirs as an
//! [`Error`] in the end.

mod failure;
mod next_step;

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ssh::SessionError;
use thiserror::Error as ThisError;
use tonic::{Code, Status};
use transport::tls::{NotARootFingerprint, RootCertificateError};
use transport::{ConnectError, Endpoint, EndpointError};

use crate::connection::{
    ADDRESS_VARIABLE, FINGERPRINT_VARIABLE, InvalidRemoteName, REMOTE_VARIABLE, RemotesError,
    ServerTrustError,
};
use crate::credentials::IdentityStoreError;
use crate::credentials::token::{InvalidToken, PREFIX};
use crate::platform::Denial;
pub(crate) use failure::{Failure, Target};

/// The command line is at fault.
const EXIT_USAGE: u8 = 1;
/// The command failed.
const EXIT_FAILED: u8 = 2;
/// A signal ended the command: this plus its number, as shells report it.
const EXIT_SIGNAL: u8 = 128;

/// Why a command ended.
#[derive(Debug, ThisError)]
pub(crate) enum Error {
    /// The user asked for something that cannot be asked so.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        next: Option<String>,
    },
    /// The address in the environment is malformed.
    #[error("{ADDRESS_VARIABLE} is not an address")]
    Address(#[source] EndpointError),
    /// The environment names a remote by what is no name.
    #[error("{REMOTE_VARIABLE} is not the name of a remote")]
    RemoteName(#[source] InvalidRemoteName),
    /// The user's remotes.
    #[error(transparent)]
    Remotes(Box<RemotesError>),
    /// The fingerprint in the environment is malformed.
    #[error("{FINGERPRINT_VARIABLE} is not a fingerprint")]
    Fingerprint(#[source] NotARootFingerprint),
    /// No transport for this kind of address in this build.
    #[error("cannot connect to {0}: this client was built without the feature '{scheme}'", scheme = .0.scheme())]
    NoTransport(Endpoint),
    /// Nothing listens at the address.
    #[error("cannot connect to the multipass socket")]
    NoService {
        /// The address tried.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system does not let this user connect.
    #[error("permission denied on the multipass socket ({endpoint})")]
    SocketDenied {
        /// The address tried.
        endpoint: Endpoint,
        /// Why, as far as the system tells.
        denial: Denial,
    },
    /// Any other failure to connect.
    #[error("cannot connect to the multipass socket at {endpoint}")]
    Connect {
        /// The address tried.
        endpoint: Endpoint,
        /// The reason.
        source: ConnectError,
    },
    /// Connecting took too long.
    #[error("the service at {endpoint} did not complete the connection within {} seconds", limit.as_secs())]
    ConnectTimeout {
        /// The address tried.
        endpoint: Endpoint,
        /// How long it was given.
        limit: Duration,
    },
    /// HTTP/2 was not agreed on.
    #[error("the service at {endpoint} does not speak gRPC")]
    Protocol {
        /// The address tried.
        endpoint: Endpoint,
        /// The reason.
        source: hyper::Error,
    },
    /// The root certificate's file is not there.
    #[error("the root certificate {path} is missing", path = path.display())]
    RootCertificateMissing {
        /// The file.
        path: PathBuf,
    },
    /// The root certificate's file cannot be read.
    #[error("cannot read the root certificate {path}", path = path.display())]
    RootCertificateUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The root certificate's file holds something else.
    #[error("the root certificate {path} cannot be used", path = path.display())]
    RootCertificateInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RootCertificateError,
    },
    /// The service's certificate is not signed by the root certificate.
    #[error(
        "the certificate of the service at {endpoint} is not valid under the root certificate {path}",
        path = root.display()
    )]
    ServerUntrusted {
        /// The address.
        endpoint: Endpoint,
        /// The root certificate's file.
        root: PathBuf,
        /// What was found wrong.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A service that this user does not trust, or does not trust any more.
    #[error(transparent)]
    ServerTrust(Box<ServerTrustError>),
    /// This client's own certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityStoreError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn StdError + Send + Sync>),
    /// The service answered with a refusal.
    #[error("{}", refusal(.0))]
    Refused(Box<Status>),
    /// The connection broke before the service had answered.
    #[error("the connection to the service was lost")]
    ConnectionLost(#[source] Box<Status>),
    /// The service's answer makes no sense.
    #[error("{0}")]
    InvalidReply(&'static str),
    /// The service did not become ready in time.
    #[error("the service was not ready within {seconds} s")]
    NotReady {
        /// How long it was given.
        seconds: u32,
        /// What the last attempt met.
        source: Option<Box<Error>>,
    },
    /// What was said with an instance's SSH server came to no good end.
    #[error("cannot work in instance \"{instance}\"")]
    Guest {
        /// Its name.
        instance: String,
        /// The reason.
        source: SessionError,
    },
    /// The command that was run in an instance ended with this code.
    #[error("the command in the instance has ended with {0}")]
    Exited(u8),
    /// The command cannot be done by this client.
    #[error("{message}")]
    Unsupported {
        /// What cannot be done.
        message: String,
        /// What to do instead.
        next: Option<String>,
    },
    /// What was asked for cannot be done as things are.
    #[error("{message}")]
    Failed {
        /// What is in the way.
        message: String,
        /// What to do about it.
        next: Option<String>,
    },
    /// The doctor has found what is in the way, and has said so.
    #[error("{problems} {}", if *problems == 1 { "problem was found" } else { "problems were found" })]
    ProblemsFound {
        /// How many.
        problems: usize,
    },
    /// An answer cannot be read from the user.
    #[error("cannot read the answer")]
    Input(#[source] io::Error),
    /// The terminal cannot be handed over to a command in an instance.
    #[error("cannot set up the terminal")]
    Terminal(#[source] io::Error),
    /// The result cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The asynchronous runtime does not start.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// A signal asked the client to end.
    #[error("interrupted")]
    Signal(u8),
}

impl From<ServerTrustError> for Error {
    fn from(fault: ServerTrustError) -> Self {
        Self::ServerTrust(Box::new(fault))
    }
}

impl From<RemotesError> for Error {
    fn from(fault: RemotesError) -> Self {
        Self::Remotes(Box::new(fault))
    }
}

impl From<InvalidToken> for Error {
    fn from(fault: InvalidToken) -> Self {
        let next = format!("Copy all of it again, from {PREFIX} to its end. Nothing was sent.");
        Self::usage(fault.to_string(), Some(next))
    }
}

impl Error {
    /// A mistake in what the user wrote, and what to do instead.
    pub(crate) fn usage(message: impl Into<String>, next: Option<String>) -> Self {
        Self::Usage { message: message.into(), next }
    }

    /// What cannot be done as things are, and what to do about that.
    pub(crate) fn failed(message: impl Into<String>, next: impl Into<Option<String>>) -> Self {
        Self::Failed { message: message.into(), next: next.into() }
    }

    /// Sorts a call's failure: the service's own word, or a broken connection.
    pub(crate) fn from_status(status: Status) -> Self {
        // Only what arose on this side carries a source: a status that was received is nothing but text.
        let status = Box::new(status);
        if status.source().is_some() { Self::ConnectionLost(status) } else { Self::Refused(status) }
    }

    /// Whether it is about something between the user and the service, which the doctor looks at.
    pub(crate) fn concerns_connection(&self) -> bool {
        match self {
            Self::Address(_)
            | Self::RemoteName(_)
            | Self::Fingerprint(_)
            | Self::NoTransport(_)
            | Self::NoService { .. }
            | Self::SocketDenied { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Protocol { .. }
            | Self::RootCertificateMissing { .. }
            | Self::RootCertificateUnreadable { .. }
            | Self::RootCertificateInvalid { .. }
            | Self::ServerUntrusted { .. }
            | Self::ServerTrust(_)
            | Self::Identity(_) => true,
            Self::Refused(status) => status.code() == Code::Unauthenticated,
            Self::NotReady { source, .. } => {
                source.as_ref().is_some_and(|source| source.concerns_connection())
            }
            _ => false,
        }
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => EXIT_USAGE,
            Self::Exited(code) => *code,
            Self::Signal(number) => EXIT_SIGNAL.saturating_add(*number),
            _ => EXIT_FAILED,
        }
    }

    /// What happened, its causes included.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        // The stock client's words for a service that is not there stand alone; the address follows as the
        // next step.
        let mut cause = if matches!(self, Self::NoService { .. }) { None } else { self.source() };
        // Of a lost connection only the innermost cause says something; what is between repeats it.
        if matches!(self, Self::ConnectionLost(_)) {
            while let Some(inner) = cause.and_then(StdError::source) {
                cause = Some(inner);
            }
        }
        while let Some(source) = cause {
            let text = source.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = source.source();
        }
        message
    }
}

fn refusal(status: &Status) -> String {
    let message = status.message().trim();
    match (message.is_empty(), status.code()) {
        (false, _) => message.to_owned(),
        (true, Code::Unauthenticated) => {
            "the client is not authenticated with the Multipass service".to_owned()
        }
        (true, Code::Unimplemented) => "the service does not know this command".to_owned(),
        (true, code) => format!("the service refused, and gave no reason ({})", code.description()),
    }
}

#[cfg(test)]
mod tests;
