//! The man pages, from the definitions that the help is made of. Only in builds for `cargo xtask man`.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::config::Arguments;

/// Administrators' programs are in this section of the manual.
const SECTION: &str = "8";

/// Writes a page for `multipassd` and for each of its commands.
///
/// # Errors
/// The directory cannot be made or written.
pub fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let program = Arguments::command();
    let version = program.get_version().unwrap_or_default().to_owned();
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        let called = format!("multipassd {}", command.get_name());
        let name = format!("multipassd-{}", command.get_name());
        page(command.clone().bin_name(called), name, &version, directory)?;
    }
    page(program, "multipassd".into(), &version, directory)
}

/// Nothing outlives the program that writes it, so the name may live as long.
fn page(command: Command, name: String, version: &str, directory: &Path) -> io::Result<()> {
    let name: &'static str = name.leak();
    let man = Man::new(command.name(name)).title(name.to_uppercase()).section(SECTION);
    let mut text = Vec::new();
    man.source(format!("multipassd {version}")).manual("Multipass").render(&mut text)?;
    fs::write(directory.join(format!("{name}.{SECTION}")), text)
}
