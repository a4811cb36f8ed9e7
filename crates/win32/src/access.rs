//! Who may use files and directories: made for few from their first moment, and looked at for others.
//!
//! Administrators and the system itself may do everything anyway: they can take any file, and are nobody from whom
//! one could be kept. So they are never among the others here. What counts as what is decided in
//! [`verdict`](crate::verdict).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem as fs;

use crate::system::{self, Descriptor};
use crate::verdict::{self, LocalPrincipals, UntrustedAccess};
pub use crate::verdict::{Operation, TrustPolicy, UntrustedPrincipal};

/// For whom something is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user who runs this process, and nobody else.
    User,
    /// Administrators and the system, whoever of them starts a service next; and this user too who is none.
    Service,
    /// As for a service, and everyone may read it.
    Readable,
}

/// Whether a file that is there is opened, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// It is opened, whoever may use it.
    Open,
    /// It is an error.
    Fail,
}

impl Access {
    fn descriptor(self) -> io::Result<Descriptor> {
        Descriptor::parse(&self.written(&system::user()?, system::is_elevated()))
    }

    /// In the security descriptor definition language. What is below inherits it; nothing is inherited from above.
    fn written(self, user: &str, is_elevated: bool) -> String {
        // An administrator's programs that have not been given an administrator's rights run as the same user.
        let service = match is_elevated {
            true => "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)".to_owned(),
            false => format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{user})"),
        };
        match self {
            Self::User => format!("O:{user}D:P(A;OICI;FA;;;{user})"),
            Self::Service => service,
            Self::Readable => format!("{service}(A;OICI;FRFX;;;WD)"),
        }
    }
}

/// Opens a file for reading and writing, made for `access` alone from its first moment if it is not there. A link is
/// not followed. *Blocking*.
///
/// # Errors
/// It cannot be opened or made.
pub fn open_file(path: &Path, access: Access, existing: IfExists) -> io::Result<File> {
    system::create_file(path, &access.descriptor()?, existing == IfExists::Open)
}

/// Makes a directory for `access` alone. *Blocking*.
///
/// # Errors
/// It cannot be made, or something has its name.
pub fn create_directory(path: &Path, access: Access) -> io::Result<()> {
    system::create_directory(path, &access.descriptor()?)
}

/// Takes a file or directory away from all but `access`. *Blocking*.
///
/// # Errors
/// It is not this user's to change.
pub fn restrict(file: &File, access: Access) -> io::Result<()> {
    let writable = system::reopen(file, fs::WRITE_DAC | fs::READ_CONTROL)?;
    system::set_access(&writable, &access.descriptor()?)
}

/// Opens a file or a directory to be looked at; a link is not followed. *Blocking*.
///
/// # Errors
/// It is not there, or this user may not look at it.
pub fn look_at(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(fs::READ_CONTROL | fs::FILE_READ_ATTRIBUTES)
        .custom_flags(fs::FILE_FLAG_BACKUP_SEMANTICS | fs::FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Somebody who may do `operation` to a file or directory, and is not trusted. None if there is nobody. *Blocking*.
///
/// # Errors
/// The system does not tell, or tells what is not known here.
pub fn untrusted_principal(
    operation: Operation,
    file: &File,
    policy: TrustPolicy,
) -> io::Result<Option<UntrustedPrincipal>> {
    let (caller, descriptor) = (system::user()?, system::access_of(file)?);
    let system = match policy {
        TrustPolicy::WithCaller => None,
        TrustPolicy::AdministratorsOnly => {
            Some(system::access_of(&look_at(&system::system_directory()?)?)?.owner)
        }
    };
    let local = LocalPrincipals { caller: &caller, system: system.as_deref() };
    let found = verdict::untrusted_access(operation, &descriptor, policy, local).map_err(io::Error::other)?;
    Ok(found.map(|found| {
        let (sid, is_owner) = match found {
            UntrustedAccess::Owner(sid) => (sid, true),
            UntrustedAccess::Granted(sid) => (sid, false),
        };
        UntrustedPrincipal {
            name: system::name_of(sid),
            sid: sid.to_owned(),
            is_owner,
            is_caller: sid == caller,
        }
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::verdict::SecurityDescriptor;

    const SYSTEM: &str = "S-1-5-18";
    const EVERYONE: &str = "S-1-1-0";
    const ALICE: &str = "S-1-5-21-1-2-3-1001";

    /// Also where what plays Windows keeps less of a list than is written.
    #[test]
    fn what_is_written_grants_nobody_more_than_is_meant() {
        for (access, is_elevated, user, uses) in [
            (Access::User, false, ALICE, None),
            // It names nobody but the user.
            (Access::User, true, SYSTEM, Some(ALICE)),
            (Access::Service, true, SYSTEM, None),
            (Access::Service, false, ALICE, None),
            (Access::Service, false, SYSTEM, Some(ALICE)),
            (Access::Readable, true, SYSTEM, Some(EVERYONE)),
            (Access::Readable, false, ALICE, Some(EVERYONE)),
        ] {
            let written = access.written(ALICE, is_elevated);
            assert!(written.contains("D:P("), "it inherits: {written}");
            let entries = Descriptor::parse(&written).unwrap().entries().unwrap();
            let descriptor = SecurityDescriptor { owner: SYSTEM.to_owned(), entries };
            let local = LocalPrincipals { caller: user, system: None };
            let untrusted = |operation| {
                verdict::untrusted_access(operation, &descriptor, TrustPolicy::WithCaller, local).unwrap()
            };
            assert_eq!(untrusted(Operation::Use), uses.map(UntrustedAccess::Granted), "{written} for {user}");
            let changes = uses.filter(|uses| *uses != EVERYONE);
            assert_eq!(
                untrusted(Operation::Modify),
                changes.map(UntrustedAccess::Granted),
                "{written} for {user}"
            );
        }
    }
}
