//! What the tests share: a process of their own, and whether they are root.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What is in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs the body of test `name` in a process of its own: for what belongs to a whole process, such as
/// the umask, and would disturb the tests beside it.
pub(crate) fn in_own_process(name: &str, body: impl FnOnce()) {
    const INSIDE: &str = "DURABLE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut test = Command::new(std::env::current_exe().unwrap());
    let output = test.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{name}: {text}");
}

/// Whether the test is to go on: it makes files of other users, which only root can. Where it is not root,
/// it says so, and in the file that `MULTIPASS_TEST_SKIPS` names.
#[cfg(unix)]
pub(crate) fn is_root(test: &str) -> bool {
    use std::io::Write;

    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        let line = format!("SKIPPED: {test}: needs root\n");
        print!("{line}");
        if let Some(path) = std::env::var_os("MULTIPASS_TEST_SKIPS") {
            // One write: tests of other processes append to the same file.
            let mut list = fs::File::options().append(true).create(true).open(path).unwrap();
            list.write_all(line.as_bytes()).unwrap();
        }
    }
    is_root
}
