//! A test in a process of its own.

use std::process::Command;

/// Set in the process that a test was given.
const ALONE: &str = "TRANSPORT_TESTKIT_ALONE";

/// Runs `test` where nothing else runs, for what changes the whole process, such as its limits.
///
/// nextest gives each test a process anyway; under other runners the test binary is run once more, with
/// the one test at `path` (as `module_path!()` tells it, and the test's name).
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
