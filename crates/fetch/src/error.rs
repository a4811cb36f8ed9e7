//! What goes wrong with a download.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::NotAUrl;

/// Why a download failed. Displayed, it is fit for a terminal: what a server sent is not in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server cannot be reached.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The server's certificate, or its TLS, is not accepted.
    #[error("cannot make a secure connection to {host}")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// It is not known which authorities the system trusts, so no server can be.
    #[error("cannot read the certificates of the authorities that this system trusts")]
    Authorities(#[source] rustls::Error),
    /// Nothing came for too long, or next to nothing.
    #[error("{host} sent too little, or nothing, in {} seconds", .limit.as_secs())]
    Stalled {
        /// Host and port.
        host: String,
        /// So long it was waited.
        limit: Duration,
    },
    /// The connection broke, or what was sent is not HTTP.
    #[error("the connection to {host} broke")]
    Broken {
        /// Host and port.
        host: String,
        /// Why.
        source: hyper::Error,
    },
    /// The server has it not, or does not give it.
    #[error("{host} answered with status {status}")]
    Status {
        /// Host and port.
        host: String,
        /// The number.
        status: u16,
    },
    /// A redirect leads to no address that can be used.
    #[error("{host} redirects to an address that cannot be downloaded from")]
    Redirect {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        source: NotAUrl,
    },
    /// A redirect leads from https to http.
    #[error("{host} redirects from https to http, which is not safe")]
    Downgrade {
        /// Host and port.
        host: String,
    },
    /// One redirect leads to the next.
    #[error("{host} redirects too often")]
    TooManyRedirects {
        /// Host and port.
        host: String,
    },
    /// The server answered with something else than it was asked for.
    #[error("{host} violates HTTP: {what}")]
    Protocol {
        /// Host and port.
        host: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl FetchError {
    /// What whoever wants the file may do about it.
    #[must_use]
    pub fn what_helps(&self) -> &'static str {
        match self {
            Self::Connect { .. } => {
                "check the address, and that its server can be reached from the machine that downloads"
            }
            Self::Tls { .. } => {
                "if that server is to be trusted, add its authority to those that the machine that downloads trusts"
            }
            Self::Authorities(_) => {
                "install them on the machine that downloads, on Debian and Ubuntu with 'sudo apt-get install ca-certificates'"
            }
            Self::Stalled { .. } | Self::Broken { .. } | Self::Status { status: 429 | 500.., .. } => {
                "try again later"
            }
            Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Downgrade { .. }
            | Self::TooManyRedirects { .. }
            | Self::Protocol { .. } => "check the address, or download the file by other means",
        }
    }

    /// Whether the same may work a moment later, from where it broke off.
    #[must_use]
    pub fn may_be_resumed(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Stalled { .. })
    }
}
