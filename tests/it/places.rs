//! The ways to what clients rely on: the socket, and the root certificate where it is published. Who can replace
//! a directory on such a way could be taken for the service.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use e2e::{Daemon, DaemonOptions, Sandbox, is_root, skip, wait_until};
use nix::sys::signal::Signal;

use crate::support::{DAEMON, Service, outsider};

/// A group that is not root's: Debian's `staff`, or any other.
const STAFF: u32 = 50;

/// The owner, group and mode of the upper of two directories.
type Access = (u32, u32, u32);

/// Makes two directories, one in the other, and gives the lower one's path.
fn way(sandbox: &Sandbox, name: &str, (uid, gid, mode): Access) -> PathBuf {
    let above = sandbox.path(name);
    let below = above.join("below");
    fs::create_dir_all(&below).expect("made");
    chown(&above, Some(uid), Some(gid)).expect("given away");
    fs::set_permissions(&above, Permissions::from_mode(mode)).expect("set");
    below
}

/// A daemon with its socket and its published certificate in these directories.
fn options(socket: Option<&Path>, published: Option<&Path>) -> DaemonOptions {
    DaemonOptions {
        socket: socket.map(|place| place.join("socket")),
        root_certificate: published.map(|place| place.join("root.pem")),
        ..DaemonOptions::default()
    }
}

#[test]
fn a_way_that_another_user_could_replace_is_refused() {
    if !is_root() {
        return skip("needs root, for directories of other users");
    }
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let uid = outsider().uid;
    for (number, (what, access, parts)) in [
        ("another user's", (uid, 0, 0o755), ["belongs to user 65534", "could replace it"]),
        ("open to all", (0, 0, 0o777), ["other users may write to", "could replace it"]),
    ]
    .into_iter()
    .enumerate()
    {
        let place = way(&sandbox, &format!("place{number}"), access);
        for (way, options, hint) in [
            ("socket", options(Some(&place), None), "--address"),
            ("root certificate", options(None, Some(&place)), "--root-cert"),
        ] {
            let mut daemon = Daemon::spawn(&sandbox, DAEMON, &options).expect("a program");
            assert_eq!(daemon.wait().expect("an end").code(), Some(1), "{what}, {way}");
            let log = daemon.logged();
            let refusal = log.lines().rfind(|line| line.contains("ERROR")).expect("a message");
            let above = place.parent().expect("a parent").display().to_string();
            for part in parts.into_iter().chain([hint, above.as_str()]) {
                assert!(refusal.contains(part), "{what}, {way}: no {part:?} in {refusal}");
            }
            assert_eq!(fs::read_dir(&place).expect("a directory").count(), 0, "{what}, {way}");
        }
    }
}

/// As `/usr/local` is on some systems, whose programs that group can replace as well.
#[test]
fn of_a_group_on_the_way_to_the_root_certificate_is_warned_once() {
    if !is_root() {
        return skip("needs root, for directories of a group");
    }
    for (access, warnings) in [((0, STAFF, 0o2775), 1), ((0, STAFF, 0o1775), 0), ((0, 0, 0o775), 0)] {
        let sandbox = Sandbox::of_this_build().expect("a sandbox");
        let place = way(&sandbox, "place", access);
        let service = Service::start_in(sandbox, options(None, Some(&place)));
        let root = place.join("root.pem");
        // It is published again, which is no reason to warn again.
        fs::remove_file(&root).expect("it was published");
        service.daemon.signal(Signal::SIGHUP).expect("a daemon");
        let soon = std::time::Duration::from_secs(20);
        wait_until("it is published again", soon, || root.exists()).expect("published");
        service.first_client();
        let log = service.daemon.logged();
        let above = place.parent().expect("a parent").display().to_string();
        let warned = |line: &&str| line.contains("WARN") && line.contains("members of a group");
        let warned: Vec<&str> = log.lines().filter(warned).collect();
        assert_eq!(warned.len(), warnings, "{access:?}: {log}");
        assert!(warned.iter().all(|line| line.contains(&above) && line.contains("chmod g-w")), "{warned:?}");
    }
    // Nobody needs to share the way to the socket with a group.
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let place = way(&sandbox, "place", (0, STAFF, 0o2775));
    let mut daemon = Daemon::spawn(&sandbox, DAEMON, &options(Some(&place), None)).expect("a program");
    assert_eq!(daemon.wait().expect("an end").code(), Some(1), "{}", daemon.logged());
}
