//! What callers are told when something was not done to an instance.

use durable::FileError;
use instances::{DriverError, InstanceError, RegistryError, VaultError};
use tonic::{Code, Status};

use crate::logging::with_causes;

/// In the contract's words.
pub(super) fn unknown(name: &str) -> Status {
    let shown: String = name.chars().take(64).collect();
    Status::not_found(format!("instance \"{}\" does not exist", shown.escape_debug()))
}

/// Why a command has failed. What is wrong on this machine is also logged.
pub(super) fn status(error: &InstanceError) -> Status {
    let code = code(error);
    let mut message = with_causes(error);
    if let Some(step) = what_helps(error) {
        message.push_str("; ");
        message.push_str(step);
    }
    if code == Code::Internal {
        tracing::error!("{message}");
    }
    Status::new(code, message)
}

/// What the caller may do about it, where the error itself does not say.
fn what_helps(error: &InstanceError) -> Option<&'static str> {
    match error {
        InstanceError::Vault(VaultError::Fetch(error)) => Some(error.what_helps()),
        InstanceError::Registry(RegistryError::File(FileError::Write { source, .. }))
        | InstanceError::Vault(VaultError::File(FileError::Write { source, .. }))
            if is_full(source) =>
        {
            Some("free some room on the service's disk, for example with 'multipass purge'")
        }
        _ => None,
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn code(error: &InstanceError) -> Code {
    match error {
        InstanceError::Refused(_) => Code::FailedPrecondition,
        InstanceError::Registry(RegistryError::DoesNotExist(_)) => Code::NotFound,
        InstanceError::Registry(RegistryError::Exists(_)) => Code::AlreadyExists,
        InstanceError::Registry(RegistryError::File(FileError::Write { source, .. }))
        | InstanceError::Vault(VaultError::File(FileError::Write { source, .. }))
            if is_full(source) =>
        {
            Code::ResourceExhausted
        }
        InstanceError::Vault(error) => match error {
            VaultError::Fetch(_) | VaultError::Source(_) | VaultError::Missing(_) => Code::FailedPrecondition,
            VaultError::NotAFile
            | VaultError::TooLarge { .. }
            | VaultError::WrongChecksum { .. }
            | VaultError::NotAnImage(_) => Code::InvalidArgument,
            VaultError::Cancelled => Code::Cancelled,
            _ => Code::Internal,
        },
        InstanceError::Driver { source, .. } => match source {
            DriverError::Unavailable(_) => Code::FailedPrecondition,
            DriverError::NoSpace(_) => Code::ResourceExhausted,
            DriverError::Ended(_) => Code::Aborted,
            DriverError::TimedOut => Code::DeadlineExceeded,
            _ => Code::Internal,
        },
        InstanceError::UserData(_)
        | InstanceError::DiskTooSmall { .. }
        | InstanceError::DiskShrinks { .. } => Code::InvalidArgument,
        InstanceError::TimedOut(_) => Code::DeadlineExceeded,
        InstanceError::EndedEarly { .. } => Code::Aborted,
        InstanceError::NoName => Code::ResourceExhausted,
        InstanceError::Cancelled => Code::Cancelled,
        _ => Code::Internal,
    }
}

/// One status of several: the code of the first, and what each says on a line of its own.
pub(super) fn all(failures: Vec<Status>) -> Result<(), Status> {
    let Some(first) = failures.first() else { return Ok(()) };
    let messages: Vec<&str> = failures.iter().map(Status::message).collect();
    Err(Status::new(first.code(), messages.join("\n")))
}
