//! What the trust store has found, for the log.

use auth_core::Notice;

/// Clients that left at once and are named in the log.
const MAX_LOGGED: usize = 16;

/// Logs what nobody asked for.
pub(crate) fn log_notice(notice: &Notice) {
    match notice {
        Notice::Damaged(part) => tracing::error!(
            "bytes {} to {} of {} were damaged ({}); they were moved to {}",
            part.bytes.start,
            part.bytes.end,
            part.file.display(),
            part.reason,
            part.kept_in.display()
        ),
        Notice::DamageFound { file, parts } => tracing::error!(
            "{} has damaged parts ({parts}), which are not read; mend them, or the next start, or the next change of \
             that file by the service, moves them to a file beside it",
            file.display()
        ),
        Notice::RevokedInFile(client) => tracing::warn!(
            "{client} is among the trusted clients again, but was revoked, and stays out; 'multipass clients \
             add' lets it in"
        ),
        Notice::ReadOnlyInFile(client) => tracing::warn!(
            "{client} is in the trust file, but may only read; 'multipass clients set-level' has it do everything"
        ),
        Notice::TrustChanged { gone, reduced } => {
            for client in reduced.iter().take(MAX_LOGGED) {
                tracing::info!("{client} may only read from now on");
            }
            for client in gone.iter().take(MAX_LOGGED) {
                tracing::info!("{client} is no longer trusted");
            }
            if gone.len() > MAX_LOGGED {
                tracing::info!("{} more are no longer trusted", gone.len() - MAX_LOGGED);
            }
        }
        other => tracing::warn!("{other:?}"),
    }
}
