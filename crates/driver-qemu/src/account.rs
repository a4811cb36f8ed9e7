//! The user that a machine's QEMU runs as.
//!
//! Where the daemon is root, each machine has a user of its own, by number alone: no user database has an
//! entry for it, and nobody else's files are its. So a guest that breaks out of its QEMU reaches neither the
//! daemon's files nor another machine's.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use instances::InstanceId;
use nix::unistd::{Gid, Uid};

/// Numbers that nobody else gives out: above the container ranges of systemd, and below what old programs
/// take for negative (systemd, "Users, Groups, UIDs and GIDs").
const FIRST: u32 = 0x7000_0000;

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The account of a machine, where we may use another than our own. `group` is that of a device that it
    /// needs.
    pub(crate) fn of(id: InstanceId, group: Option<u32>) -> Option<Self> {
        nix::unistd::geteuid().is_root().then(|| {
            let uid = number(id);
            Self { uid, gid: group.unwrap_or(uid) }
        })
    }

    /// Makes it the owner of an open file.
    pub(crate) fn give(self, file: &File) -> io::Result<()> {
        nix::unistd::fchown(file.as_fd(), Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.uid)))
            .map_err(io::Error::from)
    }
}

/// The number of the user that a machine's QEMU has here: its own, or ours where we may use no other.
pub(crate) fn user_of(id: InstanceId) -> u32 {
    Account::of(id, None).map_or_else(|| nix::unistd::geteuid().as_raw(), |account| account.uid)
}

/// Of the id's beginning, in which two instances of a daemon are hardly ever alike: only if both were being made at
/// once.
fn number(id: InstanceId) -> u32 {
    let [first, second, third, ..] = *id.as_bytes();
    FIRST | u32::from_be_bytes([0, first, second, third])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_has_its_own_number_in_the_unused_range() {
        for (id, expected) in [
            ("00000000-0000-4000-8000-000000000000", 0x7000_0000),
            ("01020304-0506-4000-8000-000000000000", 0x7001_0203),
            ("ffffffff-ffff-4fff-bfff-ffffffffffff", 0x70ff_ffff),
        ] {
            assert_eq!(number(id.parse().unwrap()), expected);
        }
    }
}
