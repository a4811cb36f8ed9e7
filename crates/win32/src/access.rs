//! Who may use files and directories: made for few from their first moment, and looked at for others.
//!
//! Administrators and the system itself may do everything anyway: they can take any file, and are nobody from whom
//! one could be kept. So they are never among the others here.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem as fs;

use crate::system::{self, Descriptor};

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
pub enum Existing {
    /// It is opened, whoever may use it.
    IsOpened,
    /// It is an error.
    IsRefused,
}

impl Access {
    /// In the security descriptor definition language. What is below inherits it; nothing is inherited from above.
    fn descriptor(self) -> io::Result<Descriptor> {
        let user = system::user()?;
        // An administrator's programs that have not been given an administrator's rights run as the same user.
        let service = match system::is_elevated() {
            true => "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)".to_owned(),
            false => format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{user})"),
        };
        Descriptor::parse(&match self {
            Self::User => format!("O:{user}D:P(A;OICI;FA;;;{user})"),
            Self::Service => service,
            Self::Readable => format!("{service}(A;OICI;FRFX;;;WD)"),
        })
    }
}

/// Opens a file for reading and writing, made for `access` alone from its first moment if it is not there. A link is
/// not followed. *Blocking*.
///
/// # Errors
/// It cannot be opened or made.
pub fn open_file(path: &Path, access: Access, existing: Existing) -> io::Result<File> {
    system::create_file(path, &access.descriptor()?, existing == Existing::IsOpened)
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

/// What others might do with a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Anything at all.
    Use,
    /// Write to it, or let others.
    Change,
    /// Put something else in its place or in the place of what is in it, or let others. New names in a directory do
    /// not count.
    Replace,
}

impl Deed {
    fn rights(self) -> u32 {
        const REPLACES: u32 = fs::DELETE | fs::FILE_DELETE_CHILD | fs::WRITE_DAC | fs::WRITE_OWNER;
        // A list may also grant them by these names.
        const GENERIC_ALL: u32 = 0x1000_0000;
        const GENERIC_WRITE: u32 = 0x4000_0000;
        match self {
            Self::Use => u32::MAX,
            Self::Change => {
                REPLACES | GENERIC_ALL | GENERIC_WRITE | fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA
            }
            Self::Replace => REPLACES | GENERIC_ALL,
        }
    }
}

/// Somebody else than this user, administrators and the system who may do `deed` to a file or directory: its owner, or
/// one to whom it is granted; by name. None if there is nobody. *Blocking*.
///
/// # Errors
/// The system does not tell.
pub fn another_who_may(deed: Deed, file: &File) -> io::Result<Option<String>> {
    let user = system::user()?;
    let found = system::access_of(file)?;
    // An owner may grant themselves whatever they like.
    let granted = found.grants.into_iter().filter(|grant| grant.rights & deed.rights() != 0);
    let somebody = std::iter::once(found.owner).chain(granted.map(|grant| grant.to));
    let another = somebody.into_iter().find(|sid| *sid != user && !is_trusted(sid));
    Ok(another.map(|sid| system::name_of(&sid)))
}

/// Whether a security identifier is that of those who may do everything anyway, or of nobody in particular.
fn is_trusted(sid: &str) -> bool {
    const SYSTEM: &str = "S-1-5-18";
    const ADMINISTRATORS: &str = "S-1-5-32-544";
    const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    // Stands for whoever owns it, who is looked at anyway.
    const OWNER_RIGHTS: &str = "S-1-3-4";
    [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER, OWNER_RIGHTS].contains(&sid)
}
