//! A full disk, at each step of a launch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{DaemonOptions, Sandbox, is_root, skip};

use super::Host;
use crate::support::{DAEMON, Expected, run};

const KIB: u64 = 1024;
/// Steps in which more and more room is left, coarse ones until there is enough, then pages.
const COARSE: u64 = 64 * KIB;
const PAGE: u64 = 4 * KIB;

/// A small file system, for as long as this lives. It goes with the directory that it is in.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=0755", "small"]).arg(&at).status();
        assert!(mount.unwrap().success());
        Self(at)
    }

    /// Takes all room but so much.
    fn leave(&self, room: u64) {
        let filler = self.0.join("filler");
        let _ = fs::remove_file(&filler);
        let free = nix::sys::statvfs::statvfs(&self.0).unwrap();
        let free = free.blocks_available() * free.fragment_size();
        fs::write(&filler, vec![1; usize::try_from(free - room).unwrap()]).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Also where something still has a file in it open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = fs::remove_dir_all(self.0.parent().unwrap_or(Path::new("/nonexistent")));
    }
}

#[test]
fn a_launch_that_has_no_room_says_so_and_leaves_nothing() {
    if !is_root() {
        return skip("needs root, to mount a small file system");
    }
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let image = sandbox.path("image").display().to_string();
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &image, "16M"]).status();
    if !made.is_ok_and(|made| made.success()) {
        return skip("needs qemu-img");
    }
    let small = Small::mount(sandbox.path(DAEMON));
    let Some(host) = Host::start_in(sandbox, DaemonOptions::default()) else { return };
    let user = host.service().first_client();
    let before = host.traces();
    // Nothing in the image starts: that it is waited for in vain says that there was room for all before.
    let is_launched = |room: u64| {
        small.leave(room);
        let launched = run(&user, &["launch", "--name", "web", "--memory", "128M", "--timeout", "1", &image]);
        let said = launched.stderr.to_lowercase();
        assert!(launched.code == 2 && said.starts_with("launch failed: "), "with {room} bytes: {launched:?}");
        if said.contains("timed out waiting") {
            return true;
        }
        let is_told = (said.contains("no space left") || said.contains("no space is left"))
            && said.contains("multipass purge");
        assert!(is_told, "with {room} bytes: {said}");
        host.is_left_as(&before, &format!("with {room} bytes"));
        false
    };
    let least = |from: u64, step: usize| (from..8 << 20).step_by(step).find(|room| is_launched(*room));
    let enough = least(0, COARSE as usize).expect("8 MiB are enough");
    assert!(enough > 4 * COARSE, "{enough} bytes");
    run(&user, &["delete", "--purge", "web"]).prints("");
    host.is_left_as(&before, "after it was deleted");
    least(enough - COARSE + PAGE, PAGE as usize).expect("it was enough before");
    run(&user, &["delete", "--purge", "web"]).prints("");
    host.is_left_as(&before, "at the end");
}
