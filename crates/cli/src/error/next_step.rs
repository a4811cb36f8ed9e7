//! What the user can do about an error.

use ssh::SessionError;
use tonic::{Code, Status};
use transport::Endpoint;

use super::Error;
use crate::connection::{
    ADDRESS_VARIABLE, FINGERPRINT_VARIABLE, REMOTE_VARIABLE, ROOT_CERTIFICATE_VARIABLE, transports,
};

impl Error {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> Option<String> {
        self.next_step_or(&format!("set {ADDRESS_VARIABLE}"))
    }

    /// What the user can do about it, who does `elsewhere` to use a service at another address.
    pub(crate) fn next_step_or(&self, elsewhere: &str) -> Option<String> {
        match self {
            Self::Usage { next, .. } | Self::Unsupported { next, .. } | Self::Failed { next, .. } => {
                next.clone()
            }
            Self::Address(_) => Some(format!("Correct or unset {ADDRESS_VARIABLE}.")),
            Self::RemoteName(_) => Some(format!("Correct or unset {REMOTE_VARIABLE}.")),
            Self::Remotes(fault) => Some(fault.next_step()),
            Self::Fingerprint(_) => Some(format!("Correct or unset {FINGERPRINT_VARIABLE}.")),
            Self::NoTransport(_) => Some(format!(
                "It has {}: {elsewhere}, or use a build with the feature.",
                transports::BUILT_IN.join(" and ")
            )),
            Self::NoService { endpoint, .. } => Some(format!(
                "Nothing listens on {endpoint}. Start the service, multipassd, or {elsewhere} if it listens elsewhere."
            )),
            Self::SocketDenied { denial, .. } => Some(denial.next_step()),
            Self::Connect { .. } | Self::Protocol { .. } => Some(format!(
                "Check that the Multipass service is what listens there; or {elsewhere} if it listens elsewhere."
            )),
            Self::ConnectTimeout { endpoint: Endpoint::Unix(_), .. } => {
                Some("The service may be overloaded or stopped. Try again, or restart it.".to_owned())
            }
            Self::ConnectTimeout { .. } => Some(
                "The service may be overloaded or stopped, or a firewall on the way may drop what is sent to it. \
                 Try again, restart the service, or open the firewall for this port."
                    .to_owned(),
            ),
            Self::RootCertificateMissing { .. } => Some(format!(
                "The service writes this file when it starts, and again on SIGHUP. Start it, or send it that \
                 signal; if it is not the system's, name its file with --root-cert or {ROOT_CERTIFICATE_VARIABLE}."
            )),
            Self::RootCertificateUnreadable { .. } | Self::RootCertificateInvalid { .. } => Some(format!(
                "Restart the service, which writes this file, or name another one with --root-cert or \
                 {ROOT_CERTIFICATE_VARIABLE}."
            )),
            Self::ServerUntrusted { .. } => Some(format!(
                "If you trust that service, name its root certificate with --root-cert or \
                 {ROOT_CERTIFICATE_VARIABLE}, or its fingerprint with --fingerprint. A service on this machine that \
                 has a new root writes the file again when it restarts."
            )),
            Self::ServerTrust(fault) => Some(fault.next_step()),
            Self::Identity(fault) => Some(fault.next_step()),
            Self::Refused(status) => after_refusal(status),
            Self::ConnectionLost(_) => {
                Some("The service may have stopped or restarted. Try again, and see its log.".to_owned())
            }
            Self::Guest { instance, source: SessionError::WrongHost } => Some(format!(
                "If somebody has changed the keys inside the instance, launch another one and copy what you need; \
                 `multipass info {instance}` shows it."
            )),
            Self::Guest { instance, .. } => {
                Some(format!("Check its state with `multipass info {instance}`, or restart it."))
            }
            Self::NotReady { source, .. } => source.as_ref().and_then(|source| source.next_step_or(elsewhere)),
            Self::InvalidReply(_)
            | Self::ProblemsFound { .. }
            | Self::Input(_)
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Terminal(_)
            | Self::Tls(_)
            | Self::Exited(_)
            | Self::Signal(_) => None,
        }
    }
}

/// The next step after a refusal, unless the service's own message has it already.
fn after_refusal(status: &Status) -> Option<String> {
    let (word, step) = match status.code() {
        Code::Unauthenticated => {
            ("multipass authenticate", "Run `multipass authenticate`. An administrator knows the passphrase.")
        }
        Code::FailedPrecondition if status.message().contains("No passphrase is set") => (
            "multipass set local.passphrase",
            "Ask someone who already uses the service here to run `multipass set local.passphrase`.",
        ),
        Code::NotFound if status.message().contains("does not exist") => {
            ("multipass list", "`multipass list` shows the instances that there are.")
        }
        Code::InvalidArgument if status.message().contains("Unrecognized settings key") => {
            ("multipass get --keys", "`multipass get --keys` lists the settings that there are.")
        }
        _ if status.message().contains("is deleted") => {
            ("multipass recover", "`multipass recover <name>` brings a deleted instance back.")
        }
        Code::ResourceExhausted => ("again", "Wait a little, then try again."),
        Code::Unimplemented => {
            ("multipass version", "The service may be of another version: `multipass version` shows both.")
        }
        _ => return None,
    };
    (!status.message().contains(word)).then(|| step.to_owned())
}
