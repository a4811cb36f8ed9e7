//! What callers are told when something was not done to an instance.

use durable::FileError;
use instances::{DriverError, ImageStoreError, InstanceError, RegistryError};
use tonic::{Code, Status};

use crate::logging::with_causes;
use crate::service::status::excerpt;

/// Failures that are listed one by one. Headers carry them, which clients take few of.
pub(super) const MAX_LISTED: usize = 16;

/// In the contract's words.
pub(super) fn no_such_instance(name: &str) -> Status {
    Status::not_found(format!("instance \"{}\" does not exist", excerpt(name)))
}

/// Why a command has failed. What is wrong on this machine is also logged.
pub(super) fn status(error: &InstanceError) -> Status {
    let code = code(error);
    let mut message = with_causes(error);
    if let Some(hint) = hint(error) {
        message.push_str("; ");
        message.push_str(hint);
    }
    if code == Code::Internal {
        tracing::error!("{message}");
    }
    Status::new(code, message)
}

/// What the caller may do about it, where the error itself does not say.
fn hint(error: &InstanceError) -> Option<&'static str> {
    match error {
        InstanceError::Images(ImageStoreError::Fetch(error)) => Some(error.what_helps()),
        InstanceError::Registry(RegistryError::File(FileError::Write { source, .. }))
        | InstanceError::Images(ImageStoreError::File(FileError::Write { source, .. }))
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
        | InstanceError::Images(ImageStoreError::File(FileError::Write { source, .. }))
            if is_full(source) =>
        {
            Code::ResourceExhausted
        }
        InstanceError::Images(error) => match error {
            ImageStoreError::Fetch(_) | ImageStoreError::Source(_) | ImageStoreError::Missing(_) => {
                Code::FailedPrecondition
            }
            ImageStoreError::NotAFile
            | ImageStoreError::TooLarge { .. }
            | ImageStoreError::WrongChecksum { .. }
            | ImageStoreError::NotAnImage(_) => Code::InvalidArgument,
            ImageStoreError::Cancelled => Code::Cancelled,
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

/// One status of several: the code of the first, and what each says on a line of its own. Of many the first are listed.
pub(super) fn combine(failures: &[Status]) -> Result<(), Status> {
    let Some(first) = failures.first() else { return Ok(()) };
    let messages: Vec<&str> = failures.iter().take(MAX_LISTED).map(Status::message).collect();
    let mut message = messages.join("\n");
    if let Some(more @ 1..) = failures.len().checked_sub(MAX_LISTED) {
        message.push_str(&format!("\nand {more} more"));
    }
    Err(Status::new(first.code(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_the_first_are_listed_and_how_many_more_there_are() {
        assert!(combine(&[]).is_ok());
        for (count, lines, last) in
            [(1, 1, "f0"), (16, 16, "f15"), (17, 17, "and 1 more"), (100_000, 17, "and 99984 more")]
        {
            let failures: Vec<Status> =
                (0..count).map(|number| Status::not_found(format!("f{number}"))).collect();
            let one = combine(&failures).unwrap_err();
            let listed: Vec<&str> = one.message().lines().collect();
            assert_eq!((one.code(), listed.len(), listed.last()), (Code::NotFound, lines, Some(&last)));
        }
    }
}
