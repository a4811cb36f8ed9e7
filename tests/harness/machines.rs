//! Virtual machines: whether there can be any, and their end, for they outlive their daemon.

use std::path::Path;
use std::process::Command;

/// Names the processor of the binaries, as the first word of their target does, where it is not this machine's.
const PROCESSOR: &str = "MULTIPASS_TEST_PROCESSOR";

/// Kills the machines of the daemon that has that data directory, and has ended: it could start others.
pub fn end_machines(data: &Path) {
    for instance in std::fs::read_dir(data.join("instances")).into_iter().flatten().flatten() {
        let file = instance.path().join("machine/pid");
        let process = std::fs::read_to_string(file).unwrap_or_default();
        if let Ok(process) = process.trim().parse::<u32>() {
            // It may have ended already.
            let _ = Command::new("kill").args(["-9", &process.to_string()]).output();
        }
    }
}

/// Why no virtual machine can be started here, if that is so.
#[must_use]
pub fn without_qemu() -> Option<String> {
    let missing = ["qemu-system-x86_64", "qemu-img"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_err())?;
    Some(format!("needs QEMU, and there is no {missing}: apt-get install qemu-system-x86 qemu-utils"))
}

/// What the daemon has to add, on standard error, to a list of no instances: a line where it has a driver for none of
/// its processor, or nothing.
#[must_use]
pub fn note_on_instances() -> &'static str {
    let processor = std::env::var(PROCESSOR);
    match processor.as_deref().unwrap_or(std::env::consts::ARCH) {
        "x86_64" => "",
        _ => {
            "This daemon has no driver to run instances with: virtual machines can be run on x86-64 alone, for now.\n"
        }
    }
}
