//! `cargo xtask demo`: the story of clients that are let in, told by the real binaries. It needs no
//! root, touches nothing outside a temporary directory, and fails if a step ends otherwise than told.
//!
//! Where QEMU is installed it ends with a virtual machine; for its image, root installs the packages that are missing.

use anyhow::{Context, bail, ensure};
use e2e::{Client, Daemon, DaemonOptions, Sandbox, Via, end_machines, without_qemu};

use crate::command::{cargo, run as run_command};
use crate::guest_image;
use crate::workspace::Workspace;

/// One command of the story and how it must end.
struct Step<'a> {
    /// What the reader is told first.
    tells: &'a str,
    arguments: &'a [&'a str],
    /// What is piped to it.
    input: &'a str,
    code: i32,
    /// A part of what it prints, to standard output or standard error; empty: it prints nothing.
    prints: &'a str,
}

/// What the first client does.
const FIRST: &[Step<'_>] = &[
    Step {
        tells: "Alice is the first client: the service accepts her certificate with whatever she calls.",
        arguments: &["list"],
        input: "",
        code: 0,
        prints: "No instances found.",
    },
    Step {
        tells: "She sets the passphrase that lets others in; from a terminal she would be prompted.",
        arguments: &["set", "local.passphrase"],
        input: "tulips-in-june\n",
        code: 0,
        prints: "",
    },
    Step {
        tells: "Nobody can read it back, only that it is set.",
        arguments: &["get", "local.passphrase"],
        input: "",
        code: 0,
        prints: "true",
    },
];

/// What another one does, over any transport.
const ANOTHER: &[Step<'_>] = &[
    Step {
        tells: "The service does not know this client yet, and refuses it.",
        arguments: &["list"],
        input: "",
        code: 2,
        prints: "not authenticated with the Multipass service",
    },
    Step {
        tells: "A wrong guess.",
        arguments: &["authenticate", "roses-in-may"],
        input: "",
        code: 2,
        prints: "Passphrase is not correct.",
    },
    Step {
        tells: "The passphrase: the service stores the client's certificate and says nothing.",
        arguments: &["authenticate"],
        input: "tulips-in-june\n",
        code: 0,
        prints: "",
    },
    Step {
        tells: "From now on this client is let in.",
        arguments: &["list"],
        input: "",
        code: 0,
        prints: "No instances found.",
    },
];

/// Who tells [`ANOTHER`], and over what.
const OTHERS: &[(&str, Via)] = &[("bob", Via::Unix), ("carol", Via::Tcp), ("dave", Via::Quic)];

/// Builds the binaries, tells the story and cleans up.
///
/// # Errors
/// A step ended otherwise than told.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    // As `cargo xtask ci` builds them, which then leaves nothing to build here. With a test among what is built,
    // cargo gives the libraries the features that tests want of them; this one is small.
    let programs = ["--bin", "multipass", "--bin", "multipassd", "--test", "walk"];
    run_command(cargo(workspace, ["build", "--workspace", "--all-features"]).args(programs))?;
    let sandbox = Sandbox::new(&workspace.target("debug"))?;
    let options = DaemonOptions { also: vec![Via::Tcp, Via::Quic], ..DaemonOptions::default() };
    let daemon = Daemon::start(&sandbox, "daemon", &options).context("the daemon did not start")?;
    let data = daemon.data.clone();
    if let Err(error) = story(workspace, &sandbox, &daemon) {
        drop(daemon);
        end_machines(&data);
        return Err(error);
    }
    println!("\nThe service is asked to stop.");
    let status = daemon.stop()?;
    ensure!(status.success(), "the daemon ended with {status}");
    println!("It did. Each step went as told.");
    Ok(())
}

fn story(workspace: &Workspace, sandbox: &Sandbox, daemon: &Daemon) -> anyhow::Result<()> {
    let alice = Client::new(sandbox, "alice", None, daemon)?;
    println!("\nThe service listens on a Unix socket, on TCP and on QUIC.");
    println!("\n== Alice, over {}", daemon.address());
    FIRST.iter().try_for_each(|step| tell("alice", &alice, step))?;
    for (name, via) in OTHERS {
        let address = daemon.address_over(*via).context("the daemon does not listen there")?;
        println!("\n== {name}, over {address}");
        let client = Client::new(sandbox, name, None, daemon)?.at(address);
        ANOTHER.iter().try_for_each(|step| tell(name, &client, step))?;
    }
    println!("\n== Alice, over {}", daemon.address());
    if let Some(why) = without_qemu() {
        println!("\nA virtual machine {why}");
        return Ok(());
    }
    match guest_image::install_packages().and_then(|()| guest_image::build(workspace)) {
        Ok(image) => virtual_machine(&alice, &image.display().to_string()),
        Err(why) => {
            println!("\nA virtual machine needs an image, which could not be built: {why:#}");
            Ok(())
        }
    }
}

fn virtual_machine(alice: &Client, image: &str) -> anyhow::Result<()> {
    let launch = ["launch", image, "--name", "tulip", "--memory", "128M", "--disk", "512M"];
    let steps = [
        Step {
            tells: "Whoever is let in launches virtual machines. This one is small, and up in some seconds.",
            arguments: &launch,
            input: "",
            code: 0,
            prints: "Launched: tulip",
        },
        Step {
            tells: "A command in it.",
            arguments: &["exec", "tulip", "--", "sh", "-c", "echo I am $(hostname); uname -sr"],
            input: "",
            code: 0,
            prints: "I am tulip",
        },
        Step {
            tells: "It is no longer needed.",
            arguments: &["delete", "--purge", "tulip"],
            input: "",
            code: 0,
            prints: "",
        },
    ];
    steps.iter().try_for_each(|step| tell("alice", alice, step))
}

fn tell(name: &str, client: &Client, step: &Step<'_>) -> anyhow::Result<()> {
    let Step { tells, arguments, input, code, prints, .. } = step;
    let pipe = match input.trim_end() {
        "" => String::new(),
        text => format!("echo {text} | "),
    };
    println!("\n{tells}\n{name}$ {pipe}multipass {}", typed(arguments));
    let outcome = client.run_with_input(arguments, input)?;
    let printed = format!("{}{}", outcome.stdout, outcome.stderr);
    print!("{printed}");
    println!("[exit code {}]", outcome.code);
    if outcome.code != *code || !printed.contains(prints) || (prints.is_empty() && !printed.is_empty()) {
        bail!("this step should have ended with {code} and printed {prints:?}");
    }
    Ok(())
}

/// The arguments as one would type them.
fn typed(arguments: &[&str]) -> String {
    let quoted = |argument: &&str| match argument.contains([' ', '$']) {
        true => format!("'{argument}'"),
        false => (*argument).to_owned(),
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
