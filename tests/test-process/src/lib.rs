//! What a test asks of the process that runs it: to be alone in it, or to be root; and how it says that it cannot run.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it is for tests alone, and the runner shows what they say"
)]

use std::io::Write;
use std::process::Command;

/// Set in the process that a test was given.
const ALONE: &str = "MULTIPASS_TEST_ALONE";

/// Runs `test` where nothing else runs, for what changes the whole process, such as its umask and its limits.
///
/// nextest gives each test a process anyway; under other runners the test binary is run once more, with the one test at
/// `path` (as `module_path!()` tells it, and the test's name).
///
/// # Panics
/// The test fails.
pub fn alone(path: &str, test: impl FnOnce()) {
    let is_alone = std::env::var_os(ALONE).is_some()
        || std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    if is_alone {
        return test();
    }
    // The path begins with the binary's name, which libtest's names do not.
    let (_, name) = path.split_once("::").expect("a path within a test binary");
    let output = Command::new(std::env::current_exe().expect("the test binary"))
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("the test binary should run");
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed in its own process");
    assert!(said.contains("1 passed"), "{name} was not found in the test binary");
}

/// Whether the test is to go on, which does what only root can. Where it is not root, it says so.
///
/// # Panics
/// As [`skip`].
#[cfg(unix)]
#[must_use]
pub fn is_root(test: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip(&format!("{test}: needs root"));
    }
    is_root
}

/// Says that a test cannot run here, and why ("needs root"). The caller returns afterwards.
///
/// The line is also appended to the file that the variable `MULTIPASS_TEST_SKIPS` names, so that skipped tests can be
/// counted.
///
/// # Panics
/// The file cannot be written.
pub fn skip(why: &str) {
    println!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os("MULTIPASS_TEST_SKIPS") {
        // One write: tests of other processes append to the same file.
        let line = format!("SKIPPED: {why}\n");
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the file that MULTIPASS_TEST_SKIPS names should be writable");
    }
}
