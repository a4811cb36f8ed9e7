//! Which modules of the two programs use which: each only those of lower layers, so that it can be read with nothing above
//! it in mind. It is found by the paths in the text that begin with `crate::`, those of tests too; what a module does with
//! what it may use is not looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// In which order a program's modules stand.
#[derive(Debug)]
pub(super) struct Order {
    /// From the lowest layer on. Those of one layer do not know each other.
    layers: &'static [&'static [&'static str]],
    /// What all may use. A module among it may use all.
    shared: &'static [&'static str],
}

/// The daemon's.
pub(super) const DAEMON: Order = Order {
    layers: &[
        &["data_directory", "limits", "open_file", "platform", "timestamp"],
        &["config"],
        &["logging"],
        &["audit", "machines", "server_identity", "trust"],
        &["service", "stock"],
        &["connections"],
        &["run"],
        &["commands"],
    ],
    shared: &[],
};
/// The client's. What ends a command joins the errors of all modules.
pub(super) const CLIENT: Order = Order {
    layers: &[
        &["platform"],
        &["files", "terminal"],
        &["credentials"],
        &["connection"],
        &["args", "doctor", "guest"],
        &["format"],
        &["commands"],
    ],
    shared: &["VERSION", "error"],
};
/// They put the modules together.
const ROOTS: [&str; 2] = ["lib", "main"];

/// What is wrong with the modules in a folder of sources, a line each.
///
/// # Errors
/// A file cannot be read.
pub(super) fn violations(sources: &Path, order: &Order) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files_below(sources)? {
        let path = file.strip_prefix(sources).unwrap_or(&file);
        let Some(module) = path.iter().next().map(Path::new).and_then(Path::file_stem) else { continue };
        let module = module.to_string_lossy();
        if ROOTS.contains(&&*module) || order.shared.contains(&&*module) {
            continue;
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        found.extend(wrong_uses(order, &module, &text).map(|wrong| format!("{}: {wrong}", path.display())));
    }
    Ok(found)
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What a module's text uses that it may not.
fn wrong_uses(order: &Order, module: &str, text: &str) -> impl Iterator<Item = String> {
    let layer_of = |module: &str| order.layers.iter().position(|layer| layer.contains(&module));
    let own = layer_of(module);
    let used: BTreeSet<&str> = text.split("crate::").skip(1).flat_map(names).collect();
    let used = used.into_iter().filter(move |used| *used != module && !order.shared.contains(used));
    used.filter_map(move |used| match (own, layer_of(used)) {
        (Some(own), Some(layer)) if layer < own => None,
        (None, _) => Some(format!("the module {module} is in no layer")),
        (_, None) => Some(format!("{used} is no module in a layer")),
        _ => Some(format!("{module} must not use {used}")),
    })
}

/// The modules that a path names which begins so: one, or those of a list in braces.
fn names(path: &str) -> Vec<&str> {
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 1;
    let mut begins = true;
    let mut names = Vec::new();
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => begins = true,
            _ if begins && !character.is_whitespace() => {
                names.push(name(&list[at..]));
                begins = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn name(path: &str) -> &str {
    path.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_uses_lower_layers_alone() {
        for (module, text, wrong) in [
            ("service", "use crate::limits::quota::Quota;", &[][..]),
            ("service", "pub(in crate::service) fn x() {}", &[]),
            ("service", "use crate::{\n    audit::{self, Refusals},\n    trust,\n};", &[]),
            ("service", "use crate::connections::serve;", &["service must not use connections"]),
            ("service", "fn x() { crate::stock::read() }", &["service must not use stock"]),
            (
                "trust",
                "use crate::{audit::x, logging::{run, with_causes}, run};",
                &["trust must not use audit", "trust must not use run"],
            ),
            ("run", "use crate::Service;", &["Service is no module in a layer"]),
            ("new", "use crate::platform;", &["the module new is in no layer"]),
        ] {
            assert_eq!(wrong_uses(&DAEMON, module, text).collect::<Vec<_>>(), wrong, "{module}: {text}");
        }
    }

    #[test]
    fn what_all_share_may_be_used_by_each() {
        let wrong = |text| wrong_uses(&CLIENT, "terminal", text).collect::<Vec<_>>();
        assert_eq!(wrong("use crate::error::Error; use crate::platform; crate::VERSION"), [""; 0]);
        assert_eq!(wrong("use crate::connection::Service;"), ["terminal must not use connection"]);
    }

    #[test]
    fn all_files_of_a_folder_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("service/instances")).unwrap();
        for (file, text) in [
            ("lib.rs", "use crate::run;"),
            ("config.rs", "use crate::run;"),
            ("service/instances/launch.rs", "use crate::commands;"),
            ("service/notes.txt", "use crate::commands;"),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        let separator = std::path::MAIN_SEPARATOR;
        let launch = format!("service{separator}instances{separator}launch.rs");
        let expected =
            ["config.rs: config must not use run", &format!("{launch}: service must not use commands")];
        assert_eq!(violations(folder.path(), &DAEMON).unwrap(), expected);
    }
}
