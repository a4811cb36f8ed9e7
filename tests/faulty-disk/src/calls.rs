//! The C library's functions that Rust's standard library changes files with, in their place.
//!
//! The linker prefers these to the library's. Each asks the recording, then makes the same system call.
//! Nothing is ever synced in earnest: what a sync makes last is in the log, and the power is never cut.
#![expect(
    unsafe_code,
    reason = "functions of the C library are replaced, and pointers come from their callers"
)]

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libc::{AT_FDCWD, c_char, c_int, c_long, c_uint, c_void, iovec, mode_t, off64_t, size_t, ssize_t};

use crate::log::Step;
use crate::recording::{Answer, Recording, Request, with};

/// `open`, and `open64`, which is the same where files have 64 bits. `mode` is only there if `flags` say so.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let creates = flags & libc::O_CREAT != 0;
    let mode = if creates { mode } else { 0 };
    // SAFETY: the caller's pointer, as it was given to us.
    let real = || unsafe { libc::syscall(libc::SYS_openat, AT_FDCWD, path, flags, c_uint::from(mode)) };
    let changes = creates || flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_TRUNC) != 0;
    // SAFETY: as the C library's, it is a string that ends.
    let place = if changes { unsafe { named(path) } } else { None };
    let was_there = place.as_ref().is_some_and(|place| place.whole.exists());
    let done = change(Request::Open, place, real, |place| match was_there {
        true if flags & libc::O_TRUNC != 0 => Some(place.contents()),
        true => None,
        false => Some(Step::Create(place.below.clone(), place.mode())),
    });
    c_int_of(done)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's promise is ours.
    unsafe { open(path, flags, mode) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn write(file: c_int, bytes: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: as many of the caller's bytes as it gave, or fewer.
    let real = |length: size_t| unsafe { libc::syscall(libc::SYS_write, file, bytes, length) };
    written(file, || real(length), || real(length / 2))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn writev(file: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the caller's parts, as they were given to us, or fewer.
    let real = |count: c_int| unsafe { libc::syscall(libc::SYS_writev, file, parts, count) };
    written(file, || real(count), || real(count / 2))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwrite64(
    file: c_int,
    bytes: *const c_void,
    length: size_t,
    at: off64_t,
) -> ssize_t {
    // SAFETY: as many of the caller's bytes as it gave, or fewer.
    let real = |length: size_t| unsafe { libc::syscall(libc::SYS_pwrite64, file, bytes, length, at) };
    written(file, || real(length), || real(length / 2))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ftruncate64(file: c_int, length: off64_t) -> c_int {
    // SAFETY: no pointers.
    let real = || unsafe { libc::syscall(libc::SYS_ftruncate, file, length) };
    c_int_of(change(Request::Write, opened(file), real, |place| Some(place.contents())))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fsync(file: c_int) -> c_int {
    c_int_of(change(Request::Sync, opened(file), || 0, |place| Some(Step::Sync(place.below.clone()))))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    // SAFETY: the caller's promise is ours.
    unsafe { fsync(file) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's pointers, as they were given to us.
    let real = || unsafe { libc::syscall(libc::SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) };
    // SAFETY: as the C library's, they are strings that end.
    let (from, to) = unsafe { (named(from), named(to)) };
    c_int_of(change(Request::Rename, from, real, |from| {
        let to = to.expect("what is moved out of the recorded directory is lost to it");
        Some(Step::Rename(from.below.clone(), to.below))
    }))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise is ours.
    unsafe { unlinkat(AT_FDCWD, path, 0) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise is ours.
    unsafe { unlinkat(AT_FDCWD, path, libc::AT_REMOVEDIR) }
}

/// What a directory is removed with, and all that is in it.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's pointer, as it was given to us.
    let real = || unsafe { libc::syscall(libc::SYS_unlinkat, directory, path, flags) };
    // SAFETY: as the C library's, it is a string that ends.
    let place = unsafe { named_in(directory, path) };
    c_int_of(change(Request::Remove, place, real, |place| Some(Step::Remove(place.below.clone()))))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's pointer, as it was given to us.
    let real = || unsafe { libc::syscall(libc::SYS_mkdirat, AT_FDCWD, path, c_uint::from(mode)) };
    // SAFETY: as the C library's, it is a string that ends.
    let place = unsafe { named(path) };
    c_int_of(change(Request::MakeDirectory, place, real, |place| {
        Some(Step::MakeDirectory(place.below.clone(), place.mode()))
    }))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn chmod(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's pointer, as it was given to us.
    let real = || unsafe { libc::syscall(libc::SYS_fchmodat, AT_FDCWD, path, c_uint::from(mode)) };
    // SAFETY: as the C library's, it is a string that ends.
    let place = unsafe { named(path) };
    c_int_of(change(Request::Mode, place, real, |place| Some(place.mode_step())))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fchmod(file: c_int, mode: mode_t) -> c_int {
    // SAFETY: no pointers.
    let real = || unsafe { libc::syscall(libc::SYS_fchmod, file, c_uint::from(mode)) };
    c_int_of(change(Request::Mode, opened(file), real, |place| Some(place.mode_step())))
}

fn written(file: c_int, whole: impl FnOnce() -> c_long, half: impl FnOnce() -> c_long) -> ssize_t {
    let place = opened(file);
    let done = change_or_half(Request::Write, place, whole, half, |place| Some(place.contents()));
    ssize_t::try_from(done).expect("a system call's result is as wide")
}

/// A file or directory below the one that is recorded.
struct Place {
    below: PathBuf,
    whole: PathBuf,
}

impl Place {
    fn of(recording: &Recording, path: &Path) -> Option<Self> {
        let below = recording.below(path)?;
        Some(Self { whole: recording.whole(&below), below })
    }

    fn contents(&self) -> Step {
        Step::Contents(self.below.clone(), std::fs::read(&self.whole).expect("it was written to"))
    }

    fn mode(&self) -> u32 {
        self.whole.metadata().expect("it was made").permissions().mode() & 0o7777
    }

    fn mode_step(&self) -> Step {
        Step::Mode(self.below.clone(), self.mode())
    }
}

/// # Safety
/// The path is a string that ends.
unsafe fn named(path: *const c_char) -> Option<Place> {
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) };
    with(|recording| Place::of(recording, Path::new(OsStr::from_bytes(path.to_bytes())))).flatten()
}

/// # Safety
/// The path is a string that ends.
unsafe fn named_in(directory: c_int, path: *const c_char) -> Option<Place> {
    if directory == AT_FDCWD {
        // SAFETY: the caller's promise is ours.
        return unsafe { named(path) };
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(path) };
    let place = |recording: &mut Recording| {
        let directory = std::fs::read_link(format!("/proc/self/fd/{directory}")).ok()?;
        Place::of(recording, &directory.join(OsStr::from_bytes(name.to_bytes())))
    };
    with(place).flatten()
}

/// The name that an open file has now. One that was removed has none.
fn opened(file: c_int) -> Option<Place> {
    let place = |recording: &mut Recording| {
        let path = std::fs::read_link(format!("/proc/self/fd/{file}")).ok()?;
        Place::of(recording, &path).filter(|place| place.whole.exists())
    };
    with(place).flatten()
}

/// Makes a system call, or refuses to; logs it if it succeeds and concerns the recording.
fn change(
    request: Request,
    place: Option<Place>,
    real: impl FnOnce() -> c_long,
    step: impl FnOnce(&Place) -> Option<Step>,
) -> c_long {
    change_or_half(request, place, real, || -1, step)
}

fn change_or_half(
    request: Request,
    place: Option<Place>,
    real: impl FnOnce() -> c_long,
    half: impl FnOnce() -> c_long,
    step: impl FnOnce(&Place) -> Option<Step>,
) -> c_long {
    let Some(place) = place else { return real() };
    let answer = with(|recording| recording.answer(request, &place.below)).unwrap_or(Answer::Done);
    let done = match answer {
        Answer::Done => real(),
        Answer::Half => half(),
        Answer::Ignored => return 0,
        Answer::Refused(errno) => {
            // SAFETY: this thread's own.
            unsafe { *libc::__errno_location() = errno };
            return -1;
        }
    };
    if done >= 0 {
        with(|recording| {
            if let Some(step) = step(&place) {
                recording.log(step);
            }
        });
    }
    done
}

fn c_int_of(done: c_long) -> c_int {
    c_int::try_from(done).expect("a descriptor, zero or minus one")
}
