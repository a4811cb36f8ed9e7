//! The workspace as the rules see it: its crates, what each depends on among them, and its lint level for
//! unsafe code. Dependencies from elsewhere are left out: none of those can depend on one of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Package};
use toml::{Table, Value};

use crate::workspace::Workspace;

/// All crates of the workspace.
#[derive(Debug)]
pub(super) struct Graph {
    /// In no particular order.
    pub(super) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    /// The package's name.
    pub(super) name: String,
    /// Its folder, from the workspace's root, with `/` between the parts.
    pub(super) folder: String,
    /// The level of the lint `unsafe_code`, where it is set.
    pub(super) unsafe_code: Option<String>,
    /// What it depends on among the members, optional dependencies and those of single platforms included.
    pub(super) needs: Vec<Need>,
}

/// A dependency of one member on another.
#[derive(Debug)]
pub(super) struct Need {
    /// The other package's own name, whatever this crate calls it.
    pub(super) name: String,
    /// What for.
    pub(super) kind: Kind,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The crate itself, or its build script.
    Crate,
    /// Its tests alone.
    Tests,
}

impl Graph {
    /// Reads the manifests.
    ///
    /// # Errors
    /// Where a manifest cannot be read.
    pub(super) fn read(workspace: &Workspace) -> anyhow::Result<Self> {
        let packages = workspace.metadata().workspace_packages();
        let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        let shared = manifest(&workspace.root().join("Cargo.toml"))?;
        let shared = shared.get("workspace").and_then(Value::as_table);
        let members = packages.iter().map(|package| member(package, &names, workspace.root(), shared));
        Ok(Self { members: members.collect::<anyhow::Result<_>>()? })
    }

    /// What a crate links: what it depends on by any number of steps, its tests left aside.
    ///
    /// The crate named by `opaque` is reached, but not what lies behind it.
    pub(super) fn linked_by(&self, name: &str, opaque: Option<&str>) -> BTreeSet<&str> {
        let mut linked = BTreeSet::new();
        let mut to_visit = vec![name];
        while let Some(next) = to_visit.pop() {
            let needs =
                self.members.iter().filter(|member| member.name == next).flat_map(|member| &member.needs);
            for need in needs.filter(|need| need.kind == Kind::Crate) {
                if linked.insert(need.name.as_str()) && opaque != Some(need.name.as_str()) {
                    to_visit.push(&need.name);
                }
            }
        }
        linked
    }
}

fn member(
    package: &Package,
    names: &BTreeSet<&str>,
    root: &Path,
    shared: Option<&Table>,
) -> anyhow::Result<Member> {
    let path = package.manifest_path.as_std_path();
    let folder =
        path.parent().unwrap_or(path).strip_prefix(root).context("a member outside the workspace")?;
    let folder: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
    let own = manifest(path)?;
    let needs = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some() && names.contains(dependency.name.as_str()));
    Ok(Member {
        name: package.name.to_string(),
        folder: folder.join("/"),
        unsafe_code: unsafe_code(&own, shared),
        needs: needs
            .map(|dependency| Need {
                name: dependency.name.clone(),
                // A kind that cargo_metadata does not know yet is judged as strictly as can be.
                kind: match dependency.kind {
                    DependencyKind::Development => Kind::Tests,
                    _ => Kind::Crate,
                },
            })
            .collect(),
    })
}

fn manifest(path: &Path) -> anyhow::Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("cannot read {}", path.display()))
}

/// The level that a manifest sets, itself or by `lints.workspace = true`. Cargo allows no mixture of both.
fn unsafe_code(own: &Table, shared: Option<&Table>) -> Option<String> {
    let lints = own.get("lints")?;
    let lints = match lints.get("workspace").and_then(Value::as_bool) {
        Some(true) => shared?.get("lints")?,
        _ => lints,
    };
    let level = lints.get("rust")?.get("unsafe_code")?;
    level.get("level").unwrap_or(level).as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lint_is_found_wherever_it_is_set() {
        let shared: Table = "lints.rust.unsafe_code = 'forbid'".parse().unwrap();
        for (own, expected) in [
            ("lints.workspace = true", Some("forbid")),
            ("lints.rust.unsafe_code = 'deny'", Some("deny")),
            ("lints.rust.unsafe_code = { level = 'deny', priority = 1 }", Some("deny")),
            ("lints.rust.missing_docs = 'warn'", None),
            ("lints.clippy.unsafe_code = 'forbid'", None),
            ("package.name = 'bare'", None),
        ] {
            let own: Table = own.parse().unwrap();
            assert_eq!(unsafe_code(&own, Some(&shared)).as_deref(), expected, "{own:?}");
        }
        let inherits: Table = "lints.workspace = true".parse().unwrap();
        assert_eq!(unsafe_code(&inherits, None), None);
    }

    #[test]
    fn this_workspace_is_read() {
        let graph = Graph::read(&Workspace::find().unwrap()).unwrap();
        let member = |name: &str| graph.members.iter().find(|member| member.name == name).unwrap();
        assert_eq!(member("xtask").folder, "xtask");
        assert_eq!(member("xtask").unsafe_code.as_deref(), Some("forbid"));
        assert_eq!(member("auth-core").folder, "crates/auth-core");
        let daemon = &member("daemon").needs;
        assert!(daemon.iter().any(|need| need.name == "auth-core" && need.kind == Kind::Crate), "{daemon:?}");
    }
}
