//! What callers are told when they are not served. Texts that the contract fixes stand here, once.

use auth_core::{ChangeError, Denied};
use tonic::Status;

use crate::limits::quota::QuotaExceeded;
use crate::logging::with_causes;
use crate::machines::InstancesUnavailable;

/// As many characters of what a caller has sent as are repeated to it.
const MAX_EXCERPT: usize = 64;

/// What a caller has sent, fit for a terminal, and not too much of it: headers carry it back.
pub(super) fn excerpt(text: &str) -> String {
    let more = if text.chars().nth(MAX_EXCERPT).is_some() { "…" } else { "" };
    format!("{}{more}", escaped(text, MAX_EXCERPT))
}

/// So many characters at the beginning of what a caller has sent, fit for a terminal.
pub(super) fn escaped(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect::<String>().escape_debug().to_string()
}

/// To a call that needs a trusted client. Who is none learns no more than that.
pub(super) fn not_admitted(denied: &Denied) -> Status {
    match denied {
        Denied::Store(_) => Status::internal(
            "The service could not store this client. Its log says why; try again when that is fixed.",
        ),
        Denied::Gate(_) => Status::internal(
            "This client was accepted, but the socket could not be opened to other users. The service's log says why.",
        ),
        Denied::ReadOnly => Status::permission_denied(
            "This client may only read: its level is 'read-only', and what it asks for needs the level 'full'. Ask \
             somebody whose client has that to run 'multipass clients set-level' for this one, or run 'multipass \
             authenticate' with the passphrase.",
        ),
        _ => Status::unauthenticated(
            "The client is not authenticated with the Multipass service.\n\
             Please authenticate before proceeding: run 'multipass authenticate' with the passphrase, or \
             a token, that your administrator gives you.",
        ),
    }
}

/// To `authenticate`.
pub(super) fn not_authenticated(denied: &Denied) -> Status {
    match denied {
        Denied::NoCertificate => Status::unauthenticated(
            "The client presented no certificate, so there is nothing to authenticate.",
        ),
        Denied::NoPassphraseSet => Status::failed_precondition(
            "No passphrase is set. An administrator sets one with 'multipass set local.passphrase'.",
        ),
        Denied::WrongPassphrase => Status::invalid_argument(
            "Passphrase is not correct. Try again, or ask your administrator for the passphrase.",
        ),
        Denied::TooManyGuesses { seconds } => {
            Status::resource_exhausted(format!("Too many failed attempts. Try again in {seconds} s."))
        }
        other => not_admitted(other),
    }
}

/// To `RedeemToken`. Strangers do not learn whether a token was one, nor how it has ended.
pub(super) fn not_redeemed(denied: &Denied) -> Status {
    match denied {
        Denied::NoCertificate => Status::unauthenticated(
            "The client presented no certificate, so there is nothing to trust. Connect with the certificate that is to \
             be trusted, and give the token again: it was not used.",
        ),
        Denied::TokenNotValid(_) => Status::unauthenticated(
            "The token is not valid: it may have been used, revoked, or have expired. Ask for a new one.",
        ),
        Denied::TrustedAlready(level) => Status::failed_precondition(format!(
            "This client is trusted already, at the level '{level}', and the token gives no more. It was not used."
        )),
        Denied::Store(_) => Status::internal(
            "The service could not store this client, and the token may be used up by that. Its log says why; when that \
             is fixed, try again, or ask for a new token.",
        ),
        other => not_admitted(other),
    }
}

/// To a change that was not made; what is wrong on this machine is also logged.
pub(super) fn not_changed(what: &str, error: &ChangeError) -> Status {
    match error {
        ChangeError::NoLongerTrusted => return not_admitted(&Denied::NotTrusted),
        ChangeError::ReadOnlyByNow => return not_admitted(&Denied::ReadOnly),
        ChangeError::AtOtherLevel(level) => {
            return Status::failed_precondition(format!(
                "{what}: it is trusted already, at the level '{level}'. To change that, run 'multipass clients \
                 set-level'."
            ));
        }
        ChangeError::TooManyTokens => {
            return Status::resource_exhausted(format!(
                "{what}: {error}. Wait until some expire, or revoke some."
            ));
        }
        ChangeError::NoSuchToken => {
            return Status::not_found(format!(
                "{what}: {error}. It may have been used, revoked, or have expired."
            ));
        }
        _ => {}
    }
    tracing::error!("{what}: {}", with_causes(error));
    Status::internal(format!(
        "{what}: {}. Fix this on the service's machine and try again.",
        with_causes(error)
    ))
}

/// To one call more than a peer may have in progress that is not admitted.
pub(super) fn too_many_calls() -> Status {
    Status::resource_exhausted(
        "Too many calls at once for a client that is not authenticated. Wait for one to be answered, or authenticate \
         first.",
    )
}

/// To all calls on a connection that is beyond its client's quota.
pub(super) fn beyond_quota(exceeded: QuotaExceeded) -> Status {
    Status::resource_exhausted(match exceeded {
        QuotaExceeded::Own => {
            "This client has as many connections to the service as one may have. End some of its commands, or wait for \
             them, and try again."
        }
        QuotaExceeded::Total => {
            "The service has as many connections as it can hold for this client's level. Try again later. Root on its \
             machine can still reach it."
        }
    })
}

/// To a call whose bytes are beyond its client's quota.
pub(super) fn too_many_bytes(exceeded: QuotaExceeded) -> Status {
    Status::resource_exhausted(match exceeded {
        QuotaExceeded::Own => {
            "This client has as many requests in progress as the service can hold for one. Wait for some to be \
             answered, and try again."
        }
        QuotaExceeded::Total => {
            "The service has as many requests in progress as it can hold for clients of this level. Try again later."
        }
    })
}

/// To a method that this daemon cannot serve.
pub(super) fn not_implemented(method: &str) -> Status {
    Status::unimplemented(format!("'{method}' is not available: this daemon cannot do it yet."))
}

/// To a call that needs instances, where there are none to be had.
pub(super) fn instances_unavailable(why: &InstancesUnavailable) -> Status {
    match why {
        InstancesUnavailable::NoDriver(why) => {
            Status::failed_precondition(format!("This daemon has no driver to run instances with: {why}."))
        }
        InstancesUnavailable::Unusable(why) => Status::internal(format!(
            "The service cannot use its instances: {why}. Fix this on the service's machine and restart it."
        )),
        InstancesUnavailable::Opening => Status::unavailable(
            "The service is still looking for its instances. Try again; its log says more if that does not help.",
        ),
    }
}

/// To a call that met a fault of the daemon's own.
pub(super) fn internal() -> Status {
    Status::internal("The service met an unexpected fault. The service's log says more.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_repeated_and_nothing_that_moves_a_terminals_cursor() {
        for (text, expected) in [
            ("", String::new()),
            ("a\u{1b}[2J", "a\\u{1b}[2J".to_owned()),
            (&"ß".repeat(64), "ß".repeat(64)),
            (&"ß".repeat(65), format!("{}…", "ß".repeat(64))),
            (&"a".repeat(1 << 20), format!("{}…", "a".repeat(64))),
        ] {
            assert_eq!(excerpt(text), expected);
        }
    }
}
