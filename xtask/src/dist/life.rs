//! The life of a package on a clean Debian: installed, used, upgraded, removed, installed again, purged. It fails
//! where a step ends otherwise than told.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::ensure;

use super::machine::{Machine, Outcome};

/// How much the units may leave open by systemd's judgement, in tenths, of a hundred.
const EXPOSURE: u32 = 40;

/// What others than the package write: dpkg and apt, man's index, logs, users' homes, and systemd of its own.
const OF_OTHERS: [&str; 14] = [
    "/dev",
    "/home",
    "/proc",
    "/root",
    "/run/log",
    "/run/systemd",
    "/run/user",
    "/sys",
    "/tmp/systemd-private-",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd/timers",
    "/var/log",
];

/// Who is there: an administrator, another user, root.
const ALICE: &str = "alice";
const BOB: &str = "bob";
const ROOT: &str = "root";

/// A command and how it must end.
struct Step<'a> {
    user: &'a str,
    line: &'a str,
    code: i32,
    /// A part of what it prints, to standard output or standard error.
    prints: &'a str,
}

const fn step<'a>(user: &'a str, line: &'a str, code: i32, prints: &'a str) -> Step<'a> {
    Step { user, line, code, prints }
}

/// What is there once it is installed.
const INSTALLED: &[Step<'_>] = &[
    step(ROOT, "systemctl is-enabled multipassd.service", 0, "enabled"),
    step(ROOT, "systemctl is-active multipassd.service multipassd-machines.service", 0, "active\nactive"),
    step(ROOT, "systemctl is-failed '*'", 1, ""),
    step(ROOT, "dpkg --verify multipass", 0, ""),
    step(ROOT, "stat -c '%a %U:%G' /run/multipass_socket", 0, "660 root:sudo"),
    step(
        ROOT,
        "stat -c '%a %U:%G' /var/lib/multipassd /var/cache/multipassd",
        0,
        "700 root:root\n700 root:root",
    ),
    step(
        ROOT,
        "stat -c '%a %U:%G' /usr/local/etc/multipassd /usr/local/etc/multipassd/*",
        0,
        "755 root:root\n644 root:root",
    ),
    step(
        ROOT,
        "stat -c '%a %U:%G' /etc/multipassd.toml /usr/bin/multipassd",
        0,
        "644 root:root\n755 root:root",
    ),
    step(ROOT, "systemd-analyze verify multipassd.service multipassd-machines.service 2>&1 | wc -c", 0, "0"),
    step(BOB, "multipass version", 0, "multipass "),
    step(BOB, "man multipass | cat", 0, "multipass-launch(1)"),
    step(BOB, "man multipassd | cat", 0, "multipassd-stop-machines(8)"),
    step(
        BOB,
        "bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader multipass; complete -p multipass'",
        0,
        "-F _multipass",
    ),
];

/// Who is let in, and a machine that runs.
const USED: &[Step<'_>] = &[
    step(BOB, "multipass list", 2, "ermission"),
    step(ALICE, "multipass list", 0, "No instances found."),
    step(ALICE, "echo tulips-in-june | multipass set local.passphrase", 0, ""),
    step(BOB, "multipass list", 2, "not authenticated"),
    step(BOB, "echo tulips-in-june | multipass authenticate", 0, ""),
    step(BOB, "multipass launch /home/alice/guest.qcow2 --name stolen", 2, "may not read it"),
    // From her home and from /tmp, which the service has as everyone has it.
    step(ALICE, "multipass launch ~/guest.qcow2 --name one --memory 128M --disk 1G", 0, "Launched: one"),
    step(
        BOB,
        "cp /srv/guest.qcow2 /tmp && multipass launch /tmp/guest.qcow2 --name two --memory 128M --disk 1G",
        0,
        "",
    ),
    step(BOB, "multipass delete --purge two", 0, ""),
    step(ALICE, "multipass exec one -- hostname", 0, "one"),
];

/// What is as it was: who is trusted, and the machine.
const GOES_ON: &[Step<'_>] = &[
    step(ROOT, "systemctl is-active multipassd.service", 0, "active"),
    step(BOB, "multipass list --format csv", 0, "one,Running"),
    step(ALICE, "multipass exec one -- hostname", 0, "one"),
];

/// Installs, uses, upgrades, removes and purges the package.
///
/// # Errors
/// A step ended otherwise than told.
pub(super) fn run(package: &Path, newer: &Path, guest: &Path) -> anyhow::Result<()> {
    let life = Life { machine: Machine::start()? };
    life.machine.copy(package, "/srv/multipass.deb")?;
    life.machine.copy(newer, "/srv/newer.deb")?;
    life.machine.copy(guest, "/srv/guest.qcow2")?;
    life.root("useradd --create-home --groups sudo alice && useradd --create-home bob")?;
    life.root("install --owner alice --mode 600 /srv/guest.qcow2 /home/alice/guest.qcow2")?;
    // Running it once has man's index and apt's lists as they will be.
    life.root("man man >/dev/null")?;
    let before = life.files()?;

    tell("It is installed, and the service runs.");
    life.root("apt-get install --yes /srv/multipass.deb")?;
    life.steps(INSTALLED)?;
    life.is_confined()?;
    tell("An administrator is let in, another user by the passphrase; they launch machines.");
    life.steps(USED)?;
    let machine = life.machines()?;
    ensure!(machine.lines().count() == 1, "one machine runs, not {machine:?}");

    tell("It is restarted, and told to read again: the machine goes on.");
    life.root("systemctl restart multipassd.service && systemctl reload multipassd.service")?;
    life.goes_on(&machine)?;
    tell("It is upgraded: a newer service has the same machine, and trusts the same users.");
    let process = life.root("systemctl show --property MainPID multipassd.service")?;
    life.root("apt-get install --yes /srv/newer.deb")?;
    let version = life.root("dpkg-query --show --showformat '${Version}' multipass")?;
    ensure!(version.ends_with("-2"), "{version} is installed, not the newer package");
    let restarted = life.root("systemctl show --property MainPID multipassd.service")?;
    ensure!(restarted != process, "the older service still runs");
    life.goes_on(&machine)?;

    tell("The system goes down: the guest is shut down.");
    life.root("systemctl stop multipassd-machines.service")?;
    life.ended_orderly()?;
    life.root("systemctl start multipassd.service")?;
    life.step(&step(ALICE, "multipass start one", 0, ""))?;

    tell("It is removed, with the machine that runs; its data stay.");
    life.root("apt-get remove --yes multipass")?;
    life.ended_orderly()?;
    life.root("test -e /var/lib/multipassd/instances/one && test ! -e /run/multipass_socket")?;
    life.root("test ! -e /usr/bin/multipassd && test -e /etc/multipassd.toml")?;
    tell("It is installed again: the same users are trusted, and the machine is there.");
    life.root("apt-get install --yes /srv/newer.deb")?;
    life.step(&step(BOB, "multipass list --format csv", 0, "one,Stopped"))?;
    life.step(&step(ALICE, "multipass start one", 0, ""))?;

    tell("It is purged, with a machine that runs and of which it knows no more: nothing is left.");
    life.root("rm -r /var/lib/multipassd/instances/one")?;
    life.root("apt-get purge --yes multipass")?;
    ensure!(life.machines()?.is_empty(), "a machine runs on");
    let after = life.files()?;
    let left: Vec<_> = after.difference(&before).collect();
    let gone: Vec<_> = before.difference(&after).collect();
    ensure!(left.is_empty() && gone.is_empty(), "left behind: {left:#?}\ntaken along: {gone:#?}");
    life.step(&step(ROOT, "systemctl is-failed '*'", 1, ""))?;
    life.step(&step(ROOT, "systemctl cat multipassd.service", 1, "No files found"))
}

struct Life {
    machine: Machine,
}

impl Life {
    fn steps(&self, steps: &[Step<'_>]) -> anyhow::Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&self, step: &Step<'_>) -> anyhow::Result<()> {
        let Step { user, line, code, prints } = step;
        println!("{user}$ {line}");
        let outcome = if *user == ROOT { self.machine.root(line)? } else { self.machine.user(user, line)? };
        let Outcome { stdout, stderr, .. } = &outcome;
        let printed = stdout.contains(prints) || stderr.contains(prints);
        ensure!(
            outcome.code == Some(*code) && printed,
            "it must exit {code} and print {prints:?}: {outcome:?}\n{}",
            self.journal()
        );
        Ok(())
    }

    /// What root's command prints; it must succeed.
    fn root(&self, line: &str) -> anyhow::Result<String> {
        println!("root$ {line}");
        let outcome = self.machine.root(line)?;
        ensure!(outcome.code == Some(0), "it must succeed: {outcome:?}\n{}", self.journal());
        Ok(outcome.stdout)
    }

    /// What the service and its machines have told last.
    fn journal(&self) -> String {
        let told = self.machine.root("journalctl --no-pager --lines 40 --unit 'multipassd*'");
        told.map_or_else(|error| error.to_string(), |told| told.stdout)
    }

    /// The service has no rights but those of its unit: the kernel is asked, and systemd for its judgement.
    fn is_confined(&self) -> anyhow::Result<()> {
        let main = "/proc/$(systemctl show --value --property MainPID multipassd.service)/status";
        let status = self.root(&format!("cat {main}"))?;
        // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID, CAP_SETUID; a filter of system calls.
        for field in ["CapBnd:\t00000000000000eb", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            ensure!(status.contains(field), "not {field:?}: {status}");
        }
        for unit in ["multipassd.service", "multipassd-machines.service"] {
            let judged = format!("systemd-analyze security --no-pager --threshold={EXPOSURE} {unit}");
            let judgement = self.root(&judged)?;
            println!("{}", judgement.lines().last().unwrap_or_default());
        }
        Ok(())
    }

    /// The processes that run machines, with their users.
    fn machines(&self) -> anyhow::Result<String> {
        let each = "for file in /proc/[0-9]*/comm; do read -r name <$file || continue; case $name in qemu-system*) \
                    stat -c '%u %n' ${file%/comm} ;; esac; done";
        Ok(self.machine.root(each)?.stdout)
    }

    fn goes_on(&self, machine: &str) -> anyhow::Result<()> {
        self.steps(GOES_ON)?;
        let now = self.machines()?;
        ensure!(now == machine, "it was {machine:?}, and is {now:?}");
        Ok(())
    }

    /// The machine has ended, and because its guest was asked to.
    fn ended_orderly(&self) -> anyhow::Result<()> {
        ensure!(self.machines()?.is_empty(), "a machine runs on");
        let told =
            self.root("journalctl --sync && journalctl --no-pager -o cat -u multipassd-machines.service")?;
        let stopped = told.lines().rfind(|line| line.starts_with("Machines that were stopped: "));
        ensure!(stopped == Some("Machines that were stopped: 1."), "{told}");
        ensure!(!told.contains("is cut off"), "{told}");
        Ok(())
    }

    /// All files but those that others write, with their kind, mode and owner.
    fn files(&self) -> anyhow::Result<BTreeSet<String>> {
        let listed = self.root("find / /run -xdev -printf '%p %y %m %u:%g\\n'")?;
        let others = |line: &str| OF_OTHERS.iter().any(|others| line.starts_with(others));
        // Below those, too, what is ours is known by its name; but not what dpkg and man keep of it, nor users' own.
        let kept = ["/home/", "/var/cache/man/", "/var/lib/dpkg/"];
        let ours = |line: &str| line.contains("multipass") && !kept.iter().any(|kept| line.starts_with(kept));
        Ok(listed.lines().filter(|line| !others(line) || ours(line)).map(str::to_owned).collect())
    }
}

fn tell(what: &str) {
    println!("\n{what}");
}
