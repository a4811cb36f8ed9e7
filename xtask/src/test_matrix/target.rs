//! The targets: how the programs run on each from here, what that takes, and the cargo that builds for it.
//!
//! What is not a package is in `target/cross`, where `ci/bootstrap-targets` puts it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{self, answer};
use crate::workspace::Workspace;

/// Every target of the project.
const TARGETS: [&str; 6] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    AARCH64_LINUX,
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
];

/// The one that wants its linker named.
const AARCH64_LINUX: &str = "aarch64-unknown-linux-gnu";

/// How to get what is missing.
const HINT: &str = "'cargo xtask test-matrix --bootstrap' gets it";

/// How programs for a target run on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// As they are.
    Native,
    /// By an emulator of the processor, on this machine's kernel.
    QemuUser,
    /// On wine, by this machine's processor.
    Wine,
    /// Not at all: they are compiled and linked.
    CheckOnly,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::QemuUser => "qemu-user",
            Self::Wine => "wine",
            Self::CheckOnly => "check only",
        })
    }
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    triple: &'static str,
    how: How,
    is_host: bool,
    /// Whether zig compiles C for it, and Rust's own linker links: Apple's tools are on its own machines alone.
    by_zig: bool,
}

impl Target {
    /// Each target, as it is seen from a machine of the kind `host`, which comes first.
    pub(super) fn all(host: &str) -> anyhow::Result<Vec<Self>> {
        let Some(own) = TARGETS.into_iter().find(|triple| *triple == host) else {
            bail!("the matrix knows no machine of the kind {host}; it knows {}", TARGETS.join(", "));
        };
        let others = TARGETS.into_iter().filter(|triple| *triple != host);
        Ok(std::iter::once(own).chain(others).map(|triple| Self::seen_from(host, triple)).collect())
    }

    fn seen_from(host: &str, triple: &'static str) -> Self {
        let how = match triple {
            _ if triple == host => How::Native,
            "x86_64-unknown-linux-musl" if host == "x86_64-unknown-linux-gnu" => How::Native,
            AARCH64_LINUX if host.contains("linux") => How::QemuUser,
            "x86_64-pc-windows-gnu" if host.starts_with("x86_64-unknown-linux") => How::Wine,
            _ => How::CheckOnly,
        };
        let by_zig = triple.contains("apple") && !host.contains("apple");
        Self { triple, how, is_host: triple == host, by_zig }
    }

    pub(super) fn triple(&self) -> &'static str {
        self.triple
    }

    /// The processor that its programs are for.
    pub(super) fn processor(&self) -> &'static str {
        self.triple.split_once('-').map_or(self.triple, |(processor, _)| processor)
    }

    pub(super) fn how(&self) -> How {
        self.how
    }

    pub(super) fn is_host(&self) -> bool {
        self.is_host
    }

    pub(super) fn is_windows(&self) -> bool {
        self.triple.contains("windows")
    }

    /// Whether its programs hold all that they need.
    pub(super) fn is_static(&self) -> bool {
        self.triple.ends_with("-musl")
    }

    /// What builds for it beside Rust, and answers to `--version`.
    fn builders(&self) -> &'static [&'static str] {
        match self.triple {
            _ if self.is_host => &[],
            "x86_64-unknown-linux-musl" => &["musl-gcc"],
            AARCH64_LINUX => &["aarch64-linux-gnu-gcc"],
            "x86_64-pc-windows-gnu" => &["x86_64-w64-mingw32-gcc", "nasm"],
            _ => &[],
        }
    }
}

/// What this machine has to build for targets and to run their programs with.
#[derive(Debug)]
pub(super) struct Tools {
    /// What kind of machine this is.
    host: String,
    /// Where `ci/bootstrap-targets` puts things.
    folder: PathBuf,
    /// The toolchain that it has built, if it is as the one that runs this.
    built: Option<PathBuf>,
}

impl Tools {
    /// Looks.
    ///
    /// # Errors
    /// There is no rustc.
    pub(super) fn find(workspace: &Workspace) -> anyhow::Result<Self> {
        let said = answer(Command::new("rustc").arg("-vV")).context("rustc does not run")?;
        let host =
            said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc tells no host")?;
        let folder = workspace.target("cross");
        let toolchain = folder.join("toolchain");
        let same = answer(Command::new(toolchain.join("bin/rustc")).arg("-vV")).as_deref() == Some(&said);
        Ok(Self { host: host.to_owned(), folder, built: same.then_some(toolchain) })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Gets what is missing, as far as it can be had; the script says what cannot.
    ///
    /// # Errors
    /// The script does not run to its end.
    pub(super) fn bootstrap(workspace: &Workspace) -> anyhow::Result<()> {
        let mut script = Command::new(workspace.root().join("ci/bootstrap-targets"));
        command::run(script.arg("--into").arg(workspace.target("cross")))
    }

    /// Why nothing can be built for a target here; `None` where it can.
    pub(super) fn missing(&self, target: &Target) -> Option<String> {
        if target.is_host {
            return None;
        }
        if !self.has_std(None, target) && !self.has_std(self.built.as_deref(), target) {
            return Some(format!("no std; {HINT}, or says why not"));
        }
        let answers = |program: &str| answer(Command::new(program).arg("--version")).is_some();
        if let Some(program) = target.builders().iter().find(|program| !answers(program)) {
            return Some(format!("no {program}; {HINT}"));
        }
        let zig = self.zig();
        (target.by_zig && answer(Command::new(&zig).arg("--version")).is_none())
            .then(|| format!("no cargo-zigbuild; {HINT}"))
    }

    /// Whether a toolchain, by default the one that runs this, has a target's standard library.
    fn has_std(&self, toolchain: Option<&Path>, target: &Target) -> bool {
        let rustc = toolchain.map_or_else(|| "rustc".into(), |folder| folder.join("bin/rustc"));
        let mut asked = Command::new(rustc);
        asked.args(["--print", "target-libdir", "--target", target.triple]);
        let Some(entries) = answer(&mut asked).and_then(|folder| std::fs::read_dir(folder).ok()) else {
            return false;
        };
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    }

    fn zig(&self) -> PathBuf {
        self.folder.join("python/bin/cargo-zigbuild")
    }

    /// The cargo for a target, with its subcommand.
    pub(super) fn cargo(&self, workspace: &Workspace, target: &Target, subcommand: &[&str]) -> Command {
        if target.is_host {
            let mut cargo = command::cargo(workspace, []);
            cargo.args(subcommand);
            return cargo;
        }
        let built =
            self.built.as_deref().filter(|_| !self.has_std(None, target)).map(|built| built.join("bin"));
        let mut cargo = match &built {
            Some(bin) => Command::new(bin.join("cargo")),
            None => command::cargo(workspace, []),
        };
        let mut path = Vec::from_iter(built.clone());
        if target.by_zig {
            path.extend(self.zig().parent().map(Path::to_owned));
            cargo = Command::new(self.zig());
            // zig compiles C alone: its linker dies of these programs, where Rust's own does not.
            cargo.env("RUSTFLAGS", "-Clinker=rust-lld -Clinker-flavor=ld64.lld");
            cargo.env("SDKROOT", self.folder.join("apple"));
        }
        // With zig, what builds is called otherwise; what lints is not.
        let words = subcommand.iter().map(|word| match *word {
            "build" if target.by_zig => "zigbuild",
            word => word,
        });
        cargo.current_dir(workspace.root()).args(words).args(["--target", target.triple]);
        if let Some(bin) = built {
            cargo
                .env("CARGO", bin.join("cargo"))
                .env("RUSTC", bin.join("rustc"))
                .env_remove("RUSTUP_TOOLCHAIN");
        }
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        // A path with a colon in it cannot be joined; then what is found is what there was before.
        if let Ok(path) = env::join_paths(path) {
            cargo.env("PATH", path);
        }
        if target.triple == AARCH64_LINUX {
            cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
        }
        cargo
    }

    /// What starts a target's programs; `Err` says what is missing for that.
    pub(super) fn runner(&self, target: &Target) -> Result<Runner, String> {
        match target.how {
            How::Native => Ok(Runner::default()),
            How::CheckOnly => Err("its programs do not run here".to_owned()),
            How::QemuUser => {
                let qemu = "qemu-aarch64-static";
                answer(Command::new(qemu).arg("--version")).ok_or_else(|| format!("no {qemu}; {HINT}"))?;
                Ok(Runner {
                    words: vec![qemu.into(), "-L".into(), "/usr/aarch64-linux-gnu".into()],
                    environment: vec![],
                })
            }
            How::Wine => {
                let prefix = self.folder.join("wine");
                // Debian has the program itself in no folder of the path, and a script for people who have a display.
                let wine = ["wine64", "/usr/lib/wine/wine64"]
                    .into_iter()
                    .find(|wine| answer(Command::new(wine).arg("--version")).is_some())
                    .filter(|_| prefix.join("drive_c").is_dir())
                    .ok_or_else(|| format!("no wine64 that is set up; {HINT}"))?;
                let environment = vec![("WINEPREFIX", prefix.into()), ("WINEDEBUG", "-all".into())];
                Ok(Runner { words: vec![wine.into()], environment })
            }
        }
    }
}

/// What starts the programs of a target.
#[derive(Debug, Default)]
pub(super) struct Runner {
    /// It and its arguments, none of which has a space in it; nothing where programs start by themselves.
    words: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
}

impl Runner {
    /// As the tests of the real programs want it.
    pub(super) fn line(&self) -> String {
        self.words.join(" ")
    }

    /// Makes `cargo` run a target's tests with it.
    pub(super) fn prepare(&self, cargo: &mut Command, target: &Target) {
        cargo.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if !self.words.is_empty() {
            let triple = target.triple.to_uppercase().replace('-', "_");
            cargo.env(format!("CARGO_TARGET_{triple}_RUNNER"), self.line());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_own_target_is_first_and_each_is_there_once() {
        for host in TARGETS {
            let all = Target::all(host).unwrap();
            assert!(
                all.len() == TARGETS.len()
                    && TARGETS.iter().all(|triple| all.iter().any(|t| t.triple == *triple))
            );
            let natives = all.iter().filter(|target| target.is_host).collect::<Vec<_>>();
            assert_eq!(natives, [&all[0]], "{host}");
            assert_eq!((all[0].triple, all[0].how), (host, How::Native));
        }
        assert!(Target::all("riscv64gc-unknown-linux-gnu").is_err());
    }

    #[test]
    fn from_linux_all_but_apples_run() {
        let seen = Target::all("x86_64-unknown-linux-gnu").unwrap();
        let seen: Vec<_> = seen.iter().map(|target| (target.how, target.by_zig)).collect();
        let apple = (How::CheckOnly, true);
        let others = [How::Native, How::Native, How::QemuUser, How::Wine].map(|how| (how, false));
        assert_eq!(seen, [&others[..], &[apple, apple]].concat());
        // An emulator runs what is not this machine's; nothing here runs Apple's.
        let from_apple = Target::all("aarch64-apple-darwin").unwrap();
        assert!(from_apple.iter().skip(1).all(|target| target.how == How::CheckOnly && !target.by_zig));
    }

    #[test]
    fn cargo_is_told_how_tests_start() {
        let target = Target::seen_from("x86_64-unknown-linux-gnu", AARCH64_LINUX);
        let runner = Runner {
            words: vec!["qemu".into(), "-L".into(), "/x".into()],
            environment: vec![("A", "b".into())],
        };
        let mut cargo = Command::new("cargo");
        runner.prepare(&mut cargo, &target);
        let set: Vec<_> =
            cargo.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?))).collect();
        assert_eq!(set, [("A", "b"), ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu -L /x")]);
    }
}
