//! The system calls of [`access`](crate::access), each behind a safe function. Security identifiers are strings, as
//! in `S-1-5-18`.
#![allow(unsafe_code)]

use std::ffi::{OsString, c_void};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, INVALID_HANDLE_VALUE, LocalFree, S_OK};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, ConvertStringSidToSidW,
    GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT, SetSecurityInfo,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, GetSecurityDescriptorDacl,
    GetTokenInformation, LookupAccountSidW, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, SetKernelObjectSecurity, TOKEN_ELEVATION,
    TOKEN_INFORMATION_CLASS, TOKEN_QUERY, TOKEN_USER, TokenElevation, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::System::RemoteDesktop::{
    WTS_CURRENT_SERVER_HANDLE, WTS_CURRENT_SESSION, WTSFreeMemory, WTSQuerySessionInformationW, WTSUserName,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::Win32::UI::Shell::{FOLDERID_ProgramData, FOLDERID_System, SHGetKnownFolderPath};
use windows_sys::core::GUID;

use crate::verdict::{AccessControlEntry, SecurityDescriptor};

const SHARE_ALL: u32 = fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE | fs::FILE_SHARE_DELETE;

/// Memory that the system has given, and takes back.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it came from a function whose result is to be freed so, and nobody else frees it.
        unsafe { LocalFree(self.0) };
    }
}

/// A security descriptor.
pub(crate) struct Descriptor(Local);

impl Descriptor {
    /// The one that is written in the security descriptor definition language.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let text = wide(text);
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the text ends in a zero, and the result's place is ours; its size is not asked for.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        succeeded(done)?;
        Ok(Self(Local(descriptor)))
    }

    /// Its access list, which lives in it. That there is none would grant everything to everyone.
    fn list(&self) -> io::Result<*mut ACL> {
        let (mut present, mut list, mut defaulted) = (0, null_mut::<ACL>(), 0);
        // SAFETY: the descriptor is a whole one, and the results' places are ours.
        succeeded(unsafe {
            GetSecurityDescriptorDacl(self.0.0, &raw mut present, &raw mut list, &raw mut defaulted)
        })?;
        if present == 0 || list.is_null() { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(list) }
    }

    #[cfg(test)]
    pub(crate) fn entries(&self) -> io::Result<Vec<AccessControlEntry>> {
        // SAFETY: it is a list, from the system, and lives as long as the descriptor.
        unsafe { entries_of(self.list()?) }
    }

    /// The attributes of what is made with it. They are of use as long as it is there.
    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0.0,
            bInheritHandle: 0,
        }
    }
}

/// Opens a file for reading and writing, and makes it if it is not there.
pub(crate) fn create_file(path: &Path, descriptor: &Descriptor, existing: bool) -> io::Result<File> {
    let (path, attributes) = (wide_path(path)?, descriptor.attributes());
    let disposition = if existing { fs::OPEN_ALWAYS } else { fs::CREATE_NEW };
    // SAFETY: the path ends in a zero, and the attributes outlive the call.
    let handle = unsafe {
        fs::CreateFileW(
            path.as_ptr(),
            fs::FILE_GENERIC_READ | fs::FILE_GENERIC_WRITE,
            SHARE_ALL,
            &raw const attributes,
            disposition,
            fs::FILE_ATTRIBUTE_NORMAL | fs::FILE_FLAG_OPEN_REPARSE_POINT,
            null_mut(),
        )
    };
    owned(handle)
}

/// Makes a directory.
pub(crate) fn create_directory(path: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let (path, attributes) = (wide_path(path)?, descriptor.attributes());
    // SAFETY: the path ends in a zero, and the attributes outlive the call.
    succeeded(unsafe { fs::CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

/// The same file or directory, opened with other rights.
pub(crate) fn reopen(file: &File, rights: u32) -> io::Result<File> {
    let flags = fs::FILE_FLAG_BACKUP_SEMANTICS | fs::FILE_FLAG_OPEN_REPARSE_POINT;
    // SAFETY: the handle is open as long as the file.
    owned(unsafe { fs::ReOpenFile(file.as_raw_handle(), rights, SHARE_ALL, flags) })
}

/// Grants a file or directory, which was opened with `WRITE_DAC`, to those of the descriptor, and to nobody else.
pub(crate) fn set_access(file: &File, descriptor: &Descriptor) -> io::Result<()> {
    let list = descriptor.list()?;
    // SAFETY: the handle is open, and the list lives in the descriptor; owner, group and audit list stay.
    let outcome = unsafe {
        SetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            list,
            null(),
        )
    };
    outcome_of(outcome)?;
    // The call above also tells what is below. Of the file itself this one says it exactly: where wine plays the
    // system, the other adds what the directory above passes on.
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the handle is open, and the descriptor a whole one.
    succeeded(unsafe { SetKernelObjectSecurity(file.as_raw_handle(), what, descriptor.0.0) })
}

/// Who may use a file or directory, which was opened with `READ_CONTROL`.
pub(crate) fn access_of(file: &File) -> io::Result<SecurityDescriptor> {
    const EVERYONE: &str = "S-1-1-0";
    let (mut owner, mut list, mut descriptor) = (null_mut(), null_mut::<ACL>(), null_mut());
    // SAFETY: the handle is open, and the results' places are ours.
    let outcome = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            &raw mut list,
            null_mut(),
            &raw mut descriptor,
        )
    };
    outcome_of(outcome)?;
    // Owner and list live in it.
    let _descriptor = Local(descriptor);
    let owner = text_of(owner)?;
    if list.is_null() {
        let everything = AccessControlEntry {
            kind: AccessControlEntry::ALLOWED,
            flags: 0,
            mask: u32::MAX,
            sid: EVERYONE.to_owned(),
        };
        return Ok(SecurityDescriptor { owner, entries: vec![everything] });
    }
    // SAFETY: it is a list, from the system, and lives as long as the descriptor.
    let entries = unsafe { entries_of(list) }?;
    Ok(SecurityDescriptor { owner, entries })
}

/// The entries of an access list.
///
/// # Safety
/// It is a whole one.
unsafe fn entries_of(list: *const ACL) -> io::Result<Vec<AccessControlEntry>> {
    // SAFETY: as promised by the caller.
    let count = unsafe { (*list).AceCount };
    let mut entries = Vec::new();
    for index in 0..u32::from(count) {
        let mut entry = null_mut();
        // SAFETY: the list is whole, and the result's place is ours.
        succeeded(unsafe { GetAce(list, index, &raw mut entry) })?;
        let entry: *const ACCESS_ALLOWED_ACE = entry.cast();
        // SAFETY: each entry begins with its header.
        let ACE_HEADER { AceType: kind, AceFlags: flags, .. } = unsafe { (*entry).Header };
        let (mut mask, mut sid) = (0, String::new());
        if AccessControlEntry::grants(kind) {
            // SAFETY: entries of these kinds continue with the rights and an identifier.
            let (granted, start) = unsafe { ((*entry).Mask, &raw const (*entry).SidStart) };
            (mask, sid) = (granted, text_of(start.cast_mut().cast())?);
        }
        entries.push(AccessControlEntry { kind, flags, mask, sid });
    }
    Ok(entries)
}

/// A security identifier as a string. It has to be one, from the system.
fn text_of(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: the identifier comes from the system, and the result's place is ours.
    succeeded(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let _text = Local(text.cast());
    // SAFETY: it ends in a zero, as the system's strings do.
    String::from_utf16(unsafe { until_zero(text) }).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The name of a user or group, or the identifier if it has none.
pub(crate) fn name_of(sid: &str) -> String {
    const LONGEST: usize = 512;
    let mut binary: PSID = null_mut();
    let text = wide(sid);
    // SAFETY: the text ends in a zero, and the result's place is ours.
    if unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut binary) } == 0 {
        return sid.to_owned();
    }
    let _binary = Local(binary);
    let (mut name, mut domain) = ([0_u16; LONGEST], [0_u16; LONGEST]);
    let (mut name_length, mut domain_length, mut kind) = (LONGEST as u32, LONGEST as u32, 0);
    // SAFETY: the identifier is one, and the buffers have the lengths that are told.
    let found = unsafe {
        LookupAccountSidW(
            null(),
            binary,
            name.as_mut_ptr(),
            &raw mut name_length,
            domain.as_mut_ptr(),
            &raw mut domain_length,
            &raw mut kind,
        )
    };
    let found = (found != 0).then(|| name.get(..name_length as usize)).flatten();
    found.and_then(|units| String::from_utf16(units).ok()).unwrap_or_else(|| sid.to_owned())
}

/// The user who runs this process.
pub(crate) fn user() -> io::Result<String> {
    const LONGEST: usize = 256;
    // Aligned as the structure at its beginning, and long enough for any identifier behind it.
    let mut space = [0_u64; LONGEST / size_of::<u64>()];
    // SAFETY: the space is as long as is told.
    unsafe { ask_token(TokenUser, space.as_mut_ptr().cast(), LONGEST as u32)? };
    // SAFETY: the system has written that structure there; what it points to is in the space, too.
    let sid = unsafe { (*space.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    text_of(sid)
}

/// Whether this process has an administrator's rights, and not just a user who could get them.
#[must_use]
pub fn is_elevated() -> bool {
    let mut elevation = TOKEN_ELEVATION::default();
    let length = size_of::<TOKEN_ELEVATION>() as u32;
    // SAFETY: the structure has that length.
    let asked = unsafe { ask_token(TokenElevation, (&raw mut elevation).cast(), length) };
    asked.is_ok() && elevation.TokenIsElevated != 0
}

/// The directory of all users' programs' data, `C:\\ProgramData` as a rule. From the system: an administrator's
/// environment holds what their other programs have put there.
///
/// # Errors
/// The system does not tell.
pub fn program_data() -> io::Result<PathBuf> {
    known_folder(&FOLDERID_ProgramData)
}

/// The directory of the system's own programs, `C:\\Windows\\System32` as a rule. From the system, too.
pub(crate) fn system_directory() -> io::Result<PathBuf> {
    known_folder(&FOLDERID_System)
}

fn known_folder(folder: &GUID) -> io::Result<PathBuf> {
    let mut text = null_mut();
    // SAFETY: the identifier is a whole one, no token means this process's user, and the result's place is ours.
    let outcome = unsafe { SHGetKnownFolderPath(folder, 0, null_mut(), &raw mut text) };
    let path = match outcome {
        S_OK => {
            // SAFETY: it ends in a zero, as the system's strings do.
            let units = unsafe { until_zero(text) };
            Ok(PathBuf::from(OsString::from_wide(units)))
        }
        other => Err(io::Error::from_raw_os_error(other)),
    };
    // SAFETY: it was given by the call above, and is freed once, also where there is none.
    unsafe { CoTaskMemFree(text.cast()) };
    path
}

/// What there is before the zero.
///
/// # Safety
/// There is one, and what comes before it stays as long as the result is used.
unsafe fn until_zero<'a>(text: *const u16) -> &'a [u16] {
    // SAFETY: as promised by the caller.
    unsafe {
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        std::slice::from_raw_parts(text, length)
    }
}

/// The name of the user who has logged in to this process's session; none in that of services. Whoever was asked for
/// an administrator's password may be another.
#[must_use]
pub fn session_user() -> Option<String> {
    let (mut text, mut length) = (null_mut(), 0);
    // SAFETY: the results' places are ours.
    let told = unsafe {
        WTSQuerySessionInformationW(
            WTS_CURRENT_SERVER_HANDLE,
            WTS_CURRENT_SESSION,
            WTSUserName,
            &raw mut text,
            &raw mut length,
        )
    };
    if told == 0 || text.is_null() {
        return None;
    }
    // SAFETY: there are so many bytes, the last of which are a zero.
    let units = unsafe { std::slice::from_raw_parts(text, length as usize / size_of::<u16>()) };
    let name = String::from_utf16_lossy(units);
    // SAFETY: it was given by the call above, and is freed once.
    unsafe { WTSFreeMemory(text.cast()) };
    let name = name.trim_end_matches('\0');
    (!name.is_empty()).then(|| name.to_owned())
}

/// What this process's token tells.
///
/// # Safety
/// There are `length` bytes at `place`.
unsafe fn ask_token(what: TOKEN_INFORMATION_CLASS, place: *mut c_void, length: u32) -> io::Result<()> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the process's own handle is always open, and the result's place is ours.
    succeeded(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: it has just been opened, and nobody else has it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let mut needed = 0;
    // SAFETY: as promised by the caller.
    succeeded(unsafe { GetTokenInformation(token.as_raw_handle(), what, place, length, &raw mut needed) })
}

fn owned(handle: HANDLE) -> io::Result<File> {
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it has just been opened, and nobody else has it.
    Ok(unsafe { File::from_raw_handle(handle) })
}

fn succeeded(done: i32) -> io::Result<()> {
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn outcome_of(code: u32) -> io::Result<()> {
    if code == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(code.cast_signed())) }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A path as the system wants it. One that is longer than others may be says so at its beginning.
fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    const LONGEST: usize = 240;
    let path = std::path::absolute(path)?;
    let units: Vec<u16> = path.as_os_str().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has a zero in it"));
    }
    let has_drive = units.get(1) == Some(&u16::from(b':'));
    let prefix = if units.len() > LONGEST && has_drive { r"\\?\" } else { "" };
    Ok(prefix.encode_utf16().chain(units).chain([0]).collect())
}
