//! The daemon's process: its memory, and how many files it may have open.

use std::io;

/// Keeps what the program has in its memory, keys and passphrases, out of core dumps and out of the reach of its
/// user's other programs.
///
/// # Errors
/// The system refuses.
#[cfg(unix)]
pub fn keep_memory_private() -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // A program that dumps are piped to gets them all the same, unless there are none (core(5)).
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// On Windows an administrator says whether there are dumps, and who reads them.
///
/// # Errors
/// None.
#[cfg(windows)]
pub fn keep_memory_private() -> io::Result<()> {
    Ok(())
}

/// Lets the daemon use as many descriptors as the administrator allows, and tells how many: each
/// connection takes one, and so does each file.
#[cfg(unix)]
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    let most = descriptor_limit_within(soft, hard, MAX_DESCRIPTORS);
    match setrlimit(Resource::RLIMIT_NOFILE, most, hard) {
        Ok(()) => most,
        Err(_) => soft,
    }
}

/// What the system takes for a limit of open files. macOS refuses more than its OPEN_MAX (setrlimit(2)), also where
/// the hard limit is none, as launchd leaves it: the soft one would stay at 256.
#[cfg(unix)]
const MAX_DESCRIPTORS: u64 = if cfg!(target_vendor = "apple") { 10_240 } else { u64::MAX };

/// The soft limit to ask for: never less than there is.
#[cfg(unix)]
fn descriptor_limit_within(soft: u64, hard: u64, system: u64) -> u64 {
    hard.min(system).max(soft)
}

/// Windows has no such limit.
#[cfg(windows)]
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    u64::MAX
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_descriptors_are_asked_for_than_the_system_takes() {
        const NONE: u64 = u64::MAX;
        for (soft, hard, system, expected) in [
            (1024, 524_288, NONE, 524_288),
            (1024, 1024, NONE, 1024),
            // By launchd.
            (256, NONE, 10_240, 10_240),
            (256, 4096, 10_240, 4096),
            // By an administrator who has found a way.
            (20_000, NONE, 10_240, 20_000),
        ] {
            assert_eq!(descriptor_limit_within(soft, hard, system), expected, "{soft} {hard}");
        }
    }
}
