//! What is in the package, and how dpkg makes a package of it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::release::Release;
use super::tree::{Kind, Tree};
use crate::command::{answer, run};
use crate::workspace::Workspace;

const COPYRIGHT: &str = include_str!("../../debian/copyright");
const LICENSE: &str = include_str!("../../../LICENSE-MIT");
const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");
const OVERRIDES: &str = include_str!("../../debian/lintian-overrides");

/// Where administrators expect them: no configuration of theirs is replaced on an upgrade.
const SETTINGS: &str = "etc/multipassd.toml";

/// The files that are written by hand.
const FILES: [(&str, &str); 3] = [
    (SETTINGS, include_str!("../../debian/multipassd.toml")),
    ("lib/systemd/system/multipassd.service", include_str!("../../debian/multipassd.service")),
    (
        "lib/systemd/system/multipassd-machines.service",
        include_str!("../../debian/multipassd-machines.service"),
    ),
];

/// What dpkg runs before and after its steps.
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("../../debian/postinst")),
    ("prerm", include_str!("../../debian/prerm")),
    ("postrm", include_str!("../../debian/postrm")),
];

/// The documents, which link to each other as in the source.
const DOCUMENTS: [(&str, &str); 17] = [
    ("README.md", include_str!("../../../README.md")),
    ("ARCHITECTURE.md", include_str!("../../../ARCHITECTURE.md")),
    ("CHANGELOG.md", include_str!("../../../CHANGELOG.md")),
    ("CONTRIBUTING.md", include_str!("../../../CONTRIBUTING.md")),
    ("SECURITY.md", include_str!("../../../SECURITY.md")),
    ("docs/audit.md", include_str!("../../../docs/audit.md")),
    ("docs/building.md", include_str!("../../../docs/building.md")),
    ("docs/differences.md", include_str!("../../../docs/differences.md")),
    ("docs/guide.md", include_str!("../../../docs/guide.md")),
    ("docs/lockouts.md", include_str!("../../../docs/lockouts.md")),
    ("docs/macos.md", include_str!("../../../docs/macos.md")),
    ("docs/package.md", include_str!("../../../docs/package.md")),
    ("docs/performance.md", include_str!("../../../docs/performance.md")),
    ("docs/reference.md", include_str!("../../../docs/reference.md")),
    ("docs/states.md", include_str!("../../../docs/states.md")),
    ("docs/threats.md", include_str!("../../../docs/threats.md")),
    ("docs/windows.md", include_str!("../../../docs/windows.md")),
];

const PROGRAMS: [&str; 2] = ["multipass", "multipassd"];

/// Where each shell looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/multipass"),
    ("zsh", "usr/share/zsh/vendor-completions/_multipass"),
    ("fish", "usr/share/fish/vendor_completions.d/multipass.fish"),
];

/// What was built for it.
#[derive(Debug)]
pub(super) struct Contents {
    /// Where the programs are.
    pub(super) programs: PathBuf,
    /// Where the man pages are.
    pub(super) man: PathBuf,
}

/// Makes the package, and tells where it is.
///
/// # Errors
/// Something is not there, or a program failed.
pub(super) fn build(
    workspace: &Workspace,
    contents: &Contents,
    release: &Release,
) -> anyhow::Result<PathBuf> {
    let folder = super::folder(workspace);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(&folder)?;
    let tree = Tree::new(work.path().join("multipass"))?;
    fill(&tree, contents, release)?;

    let architecture = answer(Command::new("dpkg").arg("--print-architecture"));
    let architecture = architecture.context("dpkg does not run")?;
    let files = tree.files()?;
    let mut md5sum = Command::new("md5sum");
    let sums = answer(md5sum.current_dir(tree.root()).args(&files)).context("md5sum does not run")?;
    let depends = dependencies(work.path(), &contents.programs)?;
    // What dpkg-gencontrol would say: kibibytes, each file by itself.
    let mut kibibytes = 0;
    for file in &files {
        kibibytes += tree.root().join(file).metadata()?.len().div_ceil(1024);
    }
    tree.put("DEBIAN/control", Kind::Data, control(release, &architecture, &depends, kibibytes))?;
    tree.put("DEBIAN/md5sums", Kind::Data, sums + "\n")?;
    tree.put("DEBIAN/conffiles", Kind::Data, format!("/{SETTINGS}\n"))?;
    for (name, script) in SCRIPTS {
        tree.put(&format!("DEBIAN/{name}"), Kind::Program, script)?;
    }
    let package = folder.join(format!("multipass_{}_{architecture}.deb", release.version));
    let mut dpkg_deb = Command::new("dpkg-deb");
    dpkg_deb.args(["--root-owner-group", "-Zxz", "--build"]).arg(tree.root()).arg(&package);
    run(dpkg_deb.env("SOURCE_DATE_EPOCH", release.made.to_string()))?;
    Ok(package)
}

fn fill(tree: &Tree, contents: &Contents, release: &Release) -> anyhow::Result<()> {
    for program in PROGRAMS {
        let file = contents.programs.join(program);
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        tree.put(&format!("usr/bin/{program}"), Kind::Program, content)?;
    }
    for (shell, path) in COMPLETIONS {
        let mut client = Command::new(contents.programs.join("multipass"));
        let script = answer(client.args(["completions", shell]));
        let script = script.with_context(|| format!("multipass writes no completions for {shell}"))?;
        tree.put(path, Kind::Data, script + "\n")?;
    }
    for entry in fs::read_dir(&contents.man).context("there are no man pages")? {
        let page = entry?.path();
        let name = page.file_name().and_then(|name| name.to_str()).context("a page has no name")?;
        let section =
            page.extension().and_then(|section| section.to_str()).context("a page has no section")?;
        tree.put_compressed(&format!("usr/share/man/man{section}/{name}"), &fs::read(&page)?)?;
    }
    for (path, content) in FILES {
        tree.put(path, Kind::Data, content)?;
    }
    let doc = |name: &str| format!("usr/share/doc/multipass/{name}");
    for (name, content) in DOCUMENTS {
        tree.put(&doc(name), Kind::Data, content)?;
    }
    tree.put(&doc("copyright"), Kind::Data, copyright())?;
    tree.put_compressed(&doc("changelog"), CHANGELOG.as_bytes())?;
    tree.put_compressed(&doc("changelog.Debian"), release.changelog()?.as_bytes())?;
    tree.put("usr/share/lintian/overrides/multipass", Kind::Data, OVERRIDES)
}

/// The libraries that the programs are linked with, and the oldest versions that have what they use.
fn dependencies(work: &Path, programs: &Path) -> anyhow::Result<String> {
    // It wants to be in a source package.
    fs::create_dir_all(work.join("debian"))?;
    fs::write(work.join("debian/control"), "Source: multipass\n\nPackage: multipass\nArchitecture: any\n")?;
    let mut shlibdeps = Command::new("dpkg-shlibdeps");
    shlibdeps.current_dir(work).arg("-O").args(PROGRAMS.map(|program| programs.join(program)));
    let said = answer(&mut shlibdeps).context("dpkg-shlibdeps cannot tell what the programs need")?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).context("the programs need no library, not even libc")
}

fn control(release: &Release, architecture: &str, depends: &str, kibibytes: u64) -> String {
    let Release { version, maintainer, .. } = release;
    format!(
        "Package: multipass
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {kibibytes}
Depends: {depends}
Recommends: ca-certificates, qemu-system-x86, qemu-utils
Section: admin
Priority: optional
Description: virtual machines for the users of a system, with authentication
 The service multipassd launches virtual machines for those users that it has
 let in, and the client multipass proves that its user is one of them: the
 first administrator to call is let in, others give a passphrase.
 .
 Either can be swapped for the stock Multipass one: the wire, the files and the
 terminal are the same. QEMU runs the machines.
"
    )
}

/// With the licence's text, of which Debian has no copy elsewhere.
fn copyright() -> String {
    let text = LICENSE.split_once("\n\n").and_then(|(_, text)| text.split_once("\n\n"));
    let mut lines = String::new();
    for line in text.map_or(LICENSE, |(_, text)| text).lines() {
        let line = if line.is_empty() { "." } else { line };
        // Writing to a String cannot fail.
        let _ = write!(lines, "\n {line}");
    }
    COPYRIGHT.replace(" @MIT@", lines.trim_start_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents;

    #[test]
    fn what_a_document_links_to_is_in_the_package_too() {
        let mut links = 0;
        for (name, content) in DOCUMENTS {
            for link in documents::links(content) {
                let (path, _) = documents::target(Path::new(name), &link);
                links += 1;
                assert!(DOCUMENTS.iter().any(|(name, _)| Path::new(name) == path), "{name}: {link}");
            }
        }
        assert!(links > DOCUMENTS.len(), "only {links} links");
    }

    #[test]
    fn the_copyright_has_the_text_of_the_licence() {
        let copyright = copyright();
        assert!(
            copyright.contains("License: Expat\n Permission is hereby granted, free of charge"),
            "{copyright}"
        );
        assert!(copyright.contains("\n .\n THE SOFTWARE IS PROVIDED"), "{copyright}");
        assert!(copyright.ends_with(" SOFTWARE.\n") && !copyright.contains('@'), "{copyright}");
    }

    #[test]
    fn the_scripts_are_ones() {
        for (name, script) in SCRIPTS {
            let checked = Command::new("sh").args(["-n", "-c", script]).output().unwrap();
            assert!(checked.status.success(), "{name}: {checked:?}");
            assert!(script.starts_with("#!/bin/sh\n") && script.contains("\nset -e\n"), "{name}");
        }
    }
}
