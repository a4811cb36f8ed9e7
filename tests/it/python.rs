//! The scripts in `tests/python`, and the Python that runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has what the scripts need.
pub(crate) struct Python(PathBuf);

impl Python {
    /// The one that `cargo xtask ci` names, or has made before; without it the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let made = workspace().join("target/python/bin/python");
        let python =
            std::env::var_os("MULTIPASS_TEST_PYTHON").map(PathBuf::from).or(made.exists().then_some(made));
        if python.is_none() {
            e2e::skip("needs the Python environment: cargo xtask ci tools");
        }
        python.map(Self)
    }

    /// A script, to be given its arguments and run.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.0);
        // Compiled modules would be left behind in the source tree.
        command.arg("-B").arg(workspace().join("tests/python").join(name));
        command
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace around this crate")
}
