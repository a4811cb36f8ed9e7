//! The measurements: who runs, who calls whom, and in which turns.

mod attack;
mod launch;
mod network;

use std::cell::OnceCell;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use e2e::{Client, Daemon, DaemonOptions, Sandbox};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::process::{Process, ask, settled_memory, signal, time, wait_for_end};
use super::report::{Figure, Limits, Unit};
use super::statistics::Summary;
use super::{Group, Measured, Pace};
use crate::workspace::Workspace;

/// How many clients "many" are.
const MANY: &str = "100000";
/// Connections that are idle while memory is measured: of one client, which may have few more.
const IDLE: f64 = 80.0;
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// The files of the daemon that has one client, or none yet, and of the one that has many.
const HOME: &str = "home";
const CROWDED: &str = "crowded";

/// What measurements begin with: the programs, certificates, and one client whom the daemon trusts.
#[derive(Debug)]
pub(super) struct Stage {
    sandbox: Sandbox,
    /// Where the programs of the package `bench` are.
    binaries: PathBuf,
    client: Client,
    crowded: OnceCell<()>,
}

impl Stage {
    /// Makes it, with the programs found in `binaries`.
    ///
    /// # Errors
    /// A program is missing, or the daemon and its first client do not work.
    pub(super) fn set(binaries: &Path) -> anyhow::Result<Self> {
        let sandbox = Sandbox::new(binaries)?;
        let daemon = Daemon::start(&sandbox, HOME, &DaemonOptions::default())?;
        let client = Client::new(&sandbox, "client", None, &daemon)?;
        // It makes its identity now, and is the first client.
        time(&mut client.command(&["list"]), NO_INSTANCES)?;
        daemon.stop()?;
        Ok(Self { sandbox, binaries: binaries.to_owned(), client, crowded: OnceCell::new() })
    }

    /// Measures one group of figures.
    ///
    /// # Errors
    /// A measurement could not be made.
    pub(super) fn measure(
        &self,
        group: Group,
        workspace: &Workspace,
        pace: Pace,
    ) -> anyhow::Result<Measured> {
        let figures = match group {
            Group::Service => self.service(pace),
            Group::Tcp => self.tcp(pace),
            Group::Quic => self.quic(pace),
            Group::Stream => self.stream(pace),
            Group::Admit => self.admit(pace),
            Group::Lifetime => self.lifetime(pace),
            Group::Memory => self.memory(pace),
            Group::Client => self.client(pace),
            Group::Authenticate => self.authenticate(pace),
            Group::Attack => self.attack(pace),
            Group::Launch => return self.launch(workspace, pace),
        };
        figures.map(Measured::Figures)
    }

    fn service(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let (bare, daemon) = (self.start_bare(&mut self.bare_service())?, self.start(HOME)?);
        let calls = self.calls(&bare.address, daemon.address(), pace)?;
        let latency = Limits::RatioAtMost { must: 1.15, aim: 1.05 };
        let rate = Limits::RatioAtLeast { must: 0.90, aim: 0.97 };
        let seconds = Unit::Seconds;
        Ok(vec![
            calls.one.figure("warm list, 1 connection", seconds, latency),
            calls.many.figure("warm list, 64 connections", seconds, latency),
            calls.rate.figure("calls, 64 connections", Unit::PerSecond, rate),
            calls.new.figure("new connection to first reply", seconds, latency),
        ])
    }

    /// Calls to the service at `ours`, and to that at `floor` in turns.
    fn calls(&self, floor: &str, ours: &str, pace: Pace) -> anyhow::Result<Calls> {
        let (seconds, connects) = (pace.seconds.to_string(), pace.connects.to_string());
        let warm = |connections| ["warm", "--connections", connections, "--seconds", &seconds];
        let (mut one, mut many, mut new) = (Turns::default(), Turns::default(), Turns::default());
        for _ in 0..pace.rounds {
            for (turns, arguments) in [
                (&mut one, warm("1").as_slice()),
                (&mut many, &warm("64")),
                (&mut new, &["connect", "--count", &connects]),
            ] {
                turns.floor.push(ask(&mut self.load(floor, HOME, arguments))?);
                turns.ours.push(ask(&mut self.load(ours, HOME, arguments))?);
            }
        }
        Ok(Calls {
            one: one.numbers("p50")?,
            many: many.numbers("p50")?,
            rate: many.numbers("per_second")?,
            new: new.numbers("p50")?,
        })
    }

    fn admit(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        self.make_crowded()?;
        let mut admit = self.program("admit");
        admit.args([HOME, CROWDED].map(|home| self.sandbox.path(home).join("data")));
        admit.args(["--rounds", &pace.rounds.to_string(), "--judgements", &pace.judgements.to_string()]);
        let found = ask(&mut admit)?;
        let turns = Turns { floor: numbers(&found, "few")?, ours: numbers(&found, "many")? };
        let limits = Limits::RatioAtMost { must: 2.0, aim: 1.2 };
        Ok(vec![turns.figure("admit, 100,000 clients", Unit::Seconds, limits)])
    }

    fn lifetime(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        self.make_crowded()?;
        let (mut empty, mut crowded, mut end) = (Turns::default(), Turns::default(), Turns::default());
        for _ in 0..pace.rounds {
            empty.floor.push(
                self.first_answer(&self.bare_address(), HOME, || Process::start(&mut self.bare_service()))?.1,
            );
            std::fs::remove_dir_all(self.sandbox.path(HOME).join("data/authenticated-certs"))?;
            for (turns, home) in [(&mut empty, HOME), (&mut crowded, CROWDED)] {
                let address = format!("unix:{}", self.sandbox.path(home).join("socket").display());
                let (mut daemon, took) = self.first_answer(&address, home, || self.spawn(home))?;
                turns.ours.push(took);
                settled_memory(daemon.pid())?;
                let asked = Instant::now();
                signal(daemon.pid(), Signal::SIGTERM)?;
                wait_for_end(daemon.pid())?;
                if home == HOME {
                    end.ours.push(asked.elapsed().as_secs_f64());
                }
                let status = daemon.wait()?;
                ensure!(status.success(), "the daemon failed: {status}");
            }
        }
        let limits = |must, aim| Limits::AtMost { must, aim };
        Ok(vec![
            empty.figure("start to first answer, 0 clients", Unit::Seconds, limits(0.050, 0.020)),
            crowded.figure("start to first answer, 100,000", Unit::Seconds, limits(1.5, 0.5)),
            end.figure("SIGTERM to exit, idle", Unit::Seconds, limits(0.200, 0.050)),
        ])
    }

    fn memory(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let (mut idle, mut connection) = (Turns::default(), Turns::default());
        for _ in 0..pace.rounds {
            let bare = self.start_bare(&mut self.bare_service())?;
            let (before, each) = self.memory_of(bare.process.pid(), &bare.address)?;
            idle.floor.push(before);
            connection.floor.push(each);
            drop(bare);

            let daemon = self.start(HOME)?;
            let (before, each) = self.memory_of(daemon.pid(), daemon.address())?;
            idle.ours.push(before);
            connection.ours.push(each);
            daemon.stop()?;
        }
        let limits = |unit: f64, must: f64, aim: f64| Limits::AtMost { must: must * unit, aim: aim * unit };
        Ok(vec![
            idle.figure("memory, idle", Unit::Bytes, limits(MIB, 14.0, 9.0)),
            connection.figure("memory, each idle connection", Unit::Bytes, limits(KIB, 96.0, 48.0)),
        ])
    }

    fn client(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let daemon = self.start(HOME)?;
        let root = self.sandbox.path(HOME).join("root.pem");
        let mut bare = self.program("bare-client");
        bare.args([&daemon.socket, &root, &self.client.certificate(), &self.client.key()]);
        let (mut list, mut help) = (Turns::default(), Turns::default());
        for _ in 0..pace.starts {
            list.floor.push(time(&mut bare, NO_INSTANCES)?);
            list.ours.push(time(&mut self.client.command(&["list"]), NO_INSTANCES)?);
            help.floor.push(time(&mut self.program("empty"), "")?);
            help.ours.push(time(&mut self.client.command(&["help"]), HELP)?);
        }
        let limits = |must, aim| Limits::RatioAtMost { must, aim };
        Ok(vec![
            list.figure("multipass list", Unit::Seconds, limits(1.6, 1.2)),
            help.figure("multipass help", Unit::Seconds, limits(2.0, 1.3)),
        ])
    }

    fn authenticate(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let daemon = self.start(HOME)?;
        self.set_passphrase()?;
        let count = pace.passphrases.to_string();
        let arguments = ["authenticate", "--passphrase", PASSPHRASE, "--count", &count];
        let mut turns = Turns::default();
        for _ in 0..pace.rounds {
            let hash = |_| number(&ask(&mut self.program("bare-hash"))?, "seconds");
            let hashes = (0..pace.passphrases).map(hash).collect::<anyhow::Result<Vec<_>>>()?;
            turns.floor.push(middle(&hashes)?);
            let found = ask(&mut self.load(daemon.address(), HOME, &arguments))?;
            turns.ours.push(middle(&numbers(&found, "seconds")?)?);
        }
        let limits = Limits::RatioAtMost { must: 1.2, aim: 1.05 };
        Ok(vec![turns.figure("authenticate, by one hash in new memory", Unit::Seconds, limits)])
    }

    /// Sets the passphrase of a daemon that runs.
    fn set_passphrase(&self) -> anyhow::Result<()> {
        let set = self.client.run_with_input(&["set", "local.passphrase"], &format!("{PASSPHRASE}\n"))?;
        ensure!(set.code == 0, "the passphrase was not set: {}", set.stderr);
        Ok(())
    }

    /// The seconds from before `spawn` to the first answer.
    fn first_answer<T>(
        &self,
        address: &str,
        home: &str,
        spawn: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, f64)> {
        let waiting = Process::start(&mut self.load(address, home, &["first"]))?;
        waiting.line()?;
        let start = Instant::now();
        let spawned = spawn()?;
        let (answered, _) = waiting.line()?;
        waiting.end()?;
        Ok((spawned, answered.duration_since(start).as_secs_f64()))
    }

    /// The memory of an idle service that has answered once, and what each idle connection adds.
    fn memory_of(&self, pid: u32, address: &str) -> anyhow::Result<(f64, f64)> {
        ask(&mut self.load(address, HOME, &["connect", "--count", "1"]))?;
        let before = settled_memory(pid)?;
        let connections = IDLE.to_string();
        let held = Process::start(&mut self.load(address, HOME, &["hold", "--connections", &connections]))?;
        held.line()?;
        let with = settled_memory(pid)?;
        held.end()?;
        Ok((before, (with - before) / IDLE))
    }

    fn start(&self, home: &str) -> anyhow::Result<Daemon> {
        Ok(Daemon::start(&self.sandbox, home, &DaemonOptions::default())?)
    }

    fn spawn(&self, home: &str) -> anyhow::Result<Daemon> {
        Ok(Daemon::spawn(&self.sandbox, home, &DaemonOptions::default())?)
    }

    /// Gives the crowded daemon its clients, at first need: they take some seconds and 60 MB.
    fn make_crowded(&self) -> anyhow::Result<()> {
        if self.crowded.get().is_some() {
            return Ok(());
        }
        let directory = self.sandbox.path(CROWDED).join("data/authenticated-certs");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let mut write = self.program("trust-file");
        write.arg(self.client.certificate()).arg(MANY).arg(directory.join("multipass_client_certs.pem"));
        time(&mut write, "")?;
        // It makes its certificates at the first start, which is not the one to be measured.
        self.start(CROWDED)?.stop()?;
        let _ = self.crowded.set(());
        Ok(())
    }

    fn bare_address(&self) -> String {
        format!("unix:{}", self.sandbox.path("bare-socket").display())
    }

    fn bare_service(&self) -> Command {
        self.bare_service_at(&self.bare_address())
    }

    fn bare_service_at(&self, address: &str) -> Command {
        let mut command = self.program("bare-service");
        command.arg(address).args(self.server_identity());
        command
    }

    /// The daemon's certificate and key.
    fn server_identity(&self) -> [PathBuf; 2] {
        let certificates = self.sandbox.path(HOME).join("data/certificates");
        ["localhost.pem", "localhost_key.pem"].map(|name| certificates.join(name))
    }

    /// Starts the bare service by that command, and waits until it listens.
    fn start_bare(&self, command: &mut Command) -> anyhow::Result<Bare> {
        let process = Process::start(command)?;
        let (_, told) = process.line()?;
        let address = told.get("address").and_then(Value::as_str);
        let address = address.with_context(|| format!("no address in {told}"))?.to_owned();
        Ok(Bare { process, address })
    }

    /// The driver as the trusted client, for the service at `address`, which has the certificates of `home`.
    fn load(&self, address: &str, home: &str, arguments: &[&str]) -> Command {
        let mut command = self.as_client("load", address, home);
        command.args(arguments);
        command
    }

    /// A program that is the trusted client.
    fn as_client(&self, name: &str, address: &str, home: &str) -> Command {
        let mut command = self.program(name);
        command.arg("--address").arg(address);
        command.arg("--root").arg(self.sandbox.path(home).join("root.pem"));
        command.arg("--certificate").arg(self.client.certificate()).arg("--key").arg(self.client.key());
        command
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.binaries.join(name))
    }
}

/// The beginning of what the client prints.
const NO_INSTANCES: &str = "No instances found.\n";
const HELP: &str = "Usage: multipass";

const PASSPHRASE: &str = "tulips-in-june";

/// A bare service that listens.
struct Bare {
    process: Process,
    address: String,
}

/// How calls were served, in seconds; and how many in a second.
struct Calls {
    one: Turns<f64>,
    many: Turns<f64>,
    rate: Turns<f64>,
    new: Turns<f64>,
}

/// What was found of us and of a floor, by turns.
#[derive(Debug)]
struct Turns<T> {
    floor: Vec<T>,
    ours: Vec<T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { floor: Vec::new(), ours: Vec::new() }
    }
}

impl Turns<Value> {
    /// The numbers of that name.
    fn numbers(&self, name: &str) -> anyhow::Result<Turns<f64>> {
        let of =
            |found: &[Value]| found.iter().map(|found| number(found, name)).collect::<anyhow::Result<_>>();
        Ok(Turns { floor: of(&self.floor)?, ours: of(&self.ours)? })
    }
}

impl Turns<f64> {
    fn figure(self, what: &str, unit: Unit, limits: Limits) -> Figure {
        Figure { what: what.to_owned(), unit, ours: self.ours, floor: self.floor, limits }
    }
}

fn number(found: &Value, name: &str) -> anyhow::Result<f64> {
    found.get(name).and_then(Value::as_f64).with_context(|| format!("no {name} in {found}"))
}

fn numbers(found: &Value, name: &str) -> anyhow::Result<Vec<f64>> {
    let all = found.get(name).and_then(Value::as_array).with_context(|| format!("no {name} in {found}"))?;
    all.iter().map(|value| value.as_f64().context("not a number")).collect()
}

/// The median of some seconds.
fn middle(seconds: &[f64]) -> anyhow::Result<f64> {
    Ok(Summary::of(seconds).context("nothing was measured")?.median)
}
