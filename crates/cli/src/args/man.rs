//! The man pages, from the definitions that the help is made of. Only in builds for `cargo xtask man`.

use std::fs;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::help;
use crate::VERSION;
use crate::error::Error;

/// Writes a page for `multipass` and for each of its commands.
///
/// # Errors
/// The directory cannot be made or written.
pub(crate) fn write(directory: &Path) -> Result<String, Error> {
    fs::create_dir_all(directory).map_err(Error::Output)?;
    page_of(help::whole(), "multipass", "multipass", directory)?;
    Ok(String::new())
}

/// Writes the page of the command that is `called` so on the command line, and those of the commands below it.
fn page_of(command: Command, name: &str, called: &str, directory: &Path) -> Result<(), Error> {
    for below in command.get_subcommands() {
        let (page, called) =
            (format!("{name}-{}", below.get_name()), format!("{called} {}", below.get_name()));
        page_of(below.clone(), &page, &called, directory)?;
    }
    let command = command.name(help::leaked(name)).bin_name(called.to_owned()).version(VERSION);
    let page = Man::new(command).title(name.to_uppercase()).source(format!("multipass {VERSION}"));
    let mut text = Vec::new();
    page.render(&mut text).map_err(Error::Output)?;
    fs::write(directory.join(format!("{name}.1")), text).map_err(Error::Output)
}
