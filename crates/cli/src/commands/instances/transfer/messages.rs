//! What a transfer says.

use std::io;

use ssh::sftp::SftpError;
use transfer::{CurrentFile, FailureReason, Location, TransferError};

use super::plan::Job;
use crate::terminal::text;

/// A megabyte, as disks and networks are measured.
const MEGA: u64 = 1_000_000;

/// What is being copied, and how much of it is: in hundredths if the whole is known.
pub(super) fn step(instance: &str, current: &CurrentFile) -> (String, Option<u8>) {
    let name = place(instance, &current.location);
    let megabytes = current.moved / MEGA;
    let whole = current.size.filter(|size| *size > 0);
    let percent = whole.map(|size| {
        let hundredths = u128::from(current.moved) * 100 / u128::from(size);
        // What a guest says of a length need not be so.
        u8::try_from(hundredths.min(100)).unwrap_or(100)
    });
    match percent {
        Some(_) => (format!("Copying {name}:"), percent),
        None => (format!("Copying {name}: {megabytes} MB"), None),
    }
}

/// What was not copied, and why, on one line.
pub(super) fn problem(instance: &str, problem: &TransferError) -> String {
    text::one_line(&format!("{}: {}", place(instance, &problem.location), problem.reason))
}

fn place(instance: &str, location: &Location) -> String {
    match location {
        Location::Local(path) => path.display().to_string(),
        Location::Guest(path) => format!("{instance}:{}", String::from_utf8_lossy(path)),
    }
}

/// What the user can do about it.
pub(super) fn next_step(job: &Job, problem: &TransferError) -> Option<String> {
    let instance = job.instance();
    Some(match &problem.reason {
        FailureReason::Directory => match job {
            Job::FromInput { .. } => "Name a file in it.".to_owned(),
            Job::ToOutput { .. } => {
                format!("`multipass exec {instance} -- tar c <directory>` writes all that is in it.")
            }
            Job::Upload { .. } | Job::Download { .. } => "--recursive copies directories.".to_owned(),
        },
        FailureReason::NoDirectory => "--parents makes directories that are missing.".to_owned(),
        FailureReason::NotADirectory => "Name a directory, or the whole path of one file.".to_owned(),
        FailureReason::InTheWay => "Remove what is there, or copy to another place.".to_owned(),
        FailureReason::Guest(SftpError::Missing) => {
            format!("Paths in an instance begin at its user's home: see `multipass exec {instance} -- ls`.")
        }
        FailureReason::Guest(SftpError::Denied) => format!(
            "The instance's user may not do this. Copy by way of its home, with `multipass exec {instance} -- \
             sudo mv <from> <to>`."
        ),
        FailureReason::Guest(SftpError::Silent) => format!("`multipass restart {instance}` may help."),
        FailureReason::Guest(SftpError::Refused(_)) => {
            format!("See whether there is space left: `multipass exec {instance} -- df`.")
        }
        FailureReason::Local(error) if error.kind() == io::ErrorKind::NotFound => {
            "Check the path.".to_owned()
        }
        FailureReason::Local(error) if error.kind() == io::ErrorKind::StorageFull => {
            "Make space, and copy again.".to_owned()
        }
        FailureReason::Local(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "Copy as a user who may, or to another place.".to_owned()
        }
        FailureReason::TooMuch => "Copy its directories one by one, or as one file made by tar.".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_calls_its_files_cannot_drive_the_terminal() {
        let location = Location::Guest(b"d/\x1b[2J\nmultipass failed\r\xff".to_vec());
        let problem = TransferError {
            location,
            reason: FailureReason::Guest(SftpError::Refused("\x07\nfine".to_owned())),
        };
        let said = super::problem("dev", &problem);
        assert_eq!(said, "dev:d/[2J multipass failed\u{fffd}: the instance's SFTP server says:  fine");
    }

    #[test]
    fn progress_is_told_as_far_as_it_is_known() {
        for (size, moved, expected) in [
            (Some(200), 50, ("Copying f:", Some(25))),
            (Some(1), u64::MAX, ("Copying f:", Some(100))),
            (Some(u64::MAX), u64::MAX, ("Copying f:", Some(100))),
            (Some(0), 2_500_000, ("Copying f: 2 MB", None)),
            (None, 2_500_000, ("Copying f: 2 MB", None)),
        ] {
            let (line, percent) =
                step("dev", &CurrentFile { location: Location::Local("f".into()), size, moved });
            assert_eq!((line.as_str(), percent), expected);
        }
    }
}
