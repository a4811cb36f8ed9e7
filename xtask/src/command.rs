//! Running other programs: each is shown before it runs, and anything but success is an error.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::workspace::Workspace;

/// The cargo that runs this xtask, in the workspace's root.
pub(crate) fn cargo<const N: usize>(workspace: &Workspace, arguments: [&str; N]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace.root()).args(arguments);
    cargo
}

/// Runs a program with our own terminal.
///
/// # Errors
/// Where it cannot be started, or ends with anything but success.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = shown(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "`{line}` failed: {status}");
    Ok(())
}

/// What a program prints, or nothing where it cannot be started or fails: a question to the machine.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as one would type it. The program's folder is left out: rustup's are long, and say nothing.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let environment = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        let quote = if value.contains(' ') { "'" } else { "" };
        Some(format!("{}={quote}{value}{quote} ", name.to_string_lossy()))
    });
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    environment.chain([program.to_string_lossy().into_owned()]).chain(arguments).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let mut command = Command::new("/home/me/.cargo/bin/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").env("A", "b").env_remove("C");
        assert_eq!(shown(&command), "A=b RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn failure_and_absence_are_errors() {
        assert!(run(&mut Command::new("true")).is_ok());
        assert!(run(&mut Command::new("false")).unwrap_err().to_string().starts_with("`false` failed"));
        let absent = run(&mut Command::new("/nonexistent/program")).unwrap_err();
        assert!(absent.to_string().starts_with("cannot run `program`"), "{absent}");
    }

    #[test]
    fn only_success_is_an_answer() {
        assert_eq!(answer(Command::new("echo").arg("yes")).as_deref(), Some("yes"));
        assert_eq!(answer(&mut Command::new("false")), None);
        assert_eq!(answer(&mut Command::new("/nonexistent/program")), None);
    }
}
