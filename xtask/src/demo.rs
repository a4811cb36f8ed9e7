//! `cargo xtask demo`: the story of `multipass authenticate`, told by the real binaries. It needs no
//! root, touches nothing outside a temporary directory, and fails if a step ends otherwise than told.

use anyhow::{Context, bail, ensure};
use e2e::{Client, Daemon, DaemonOptions, Sandbox};

use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;

/// One command of the story and how it must end.
struct Step {
    /// What the reader is told first.
    tells: &'static str,
    who: Who,
    arguments: &'static [&'static str],
    /// What is piped to it.
    input: &'static str,
    code: i32,
    /// A part of what it prints, to standard output or standard error; empty: it prints nothing.
    prints: &'static str,
}

#[derive(Clone, Copy)]
enum Who {
    /// The first client to connect.
    Alice,
    /// Another one.
    Bob,
}

const STORY: &[Step] = &[
    Step {
        tells: "Alice is the first client: the service accepts her certificate with whatever she calls.",
        who: Who::Alice,
        arguments: &["list"],
        input: "",
        code: 0,
        prints: "No instances found.",
    },
    Step {
        tells: "Bob comes second, and is refused.",
        who: Who::Bob,
        arguments: &["list"],
        input: "",
        code: 2,
        prints: "not authenticated with the Multipass service",
    },
    Step {
        tells: "He cannot authenticate yet: there is no passphrase.",
        who: Who::Bob,
        arguments: &["authenticate", "tulips-in-june"],
        input: "",
        code: 2,
        prints: "No passphrase is set.",
    },
    Step {
        tells: "Alice sets one; from a terminal she would be prompted.",
        who: Who::Alice,
        arguments: &["set", "local.passphrase"],
        input: "tulips-in-june\n",
        code: 0,
        prints: "",
    },
    Step {
        tells: "Nobody can read it back, only that it is set.",
        who: Who::Alice,
        arguments: &["get", "local.passphrase"],
        input: "",
        code: 0,
        prints: "true",
    },
    Step {
        tells: "Bob guesses wrong.",
        who: Who::Bob,
        arguments: &["authenticate", "roses-in-may"],
        input: "",
        code: 2,
        prints: "Passphrase is not correct.",
    },
    Step {
        tells: "Alice tells him the passphrase; the service stores his certificate and says nothing.",
        who: Who::Bob,
        arguments: &["authenticate"],
        input: "tulips-in-june\n",
        code: 0,
        prints: "",
    },
    Step {
        tells: "From now on Bob is let in.",
        who: Who::Bob,
        arguments: &["list"],
        input: "",
        code: 0,
        prints: "No instances found.",
    },
];

/// Builds the binaries, tells the story and cleans up.
///
/// # Errors
/// A step ended otherwise than told.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    run_command(&mut cargo(workspace, ["build", "--package", "cli", "--package", "daemon", "--bins"]))?;
    let sandbox = Sandbox::new(&workspace.target("debug"))?;
    let daemon =
        Daemon::start(&sandbox, "daemon", &DaemonOptions::default()).context("the daemon did not start")?;
    println!("\nThe service listens on {}.", daemon.address());
    let alice = Client::new(&sandbox, "alice", None, &daemon)?;
    let bob = Client::new(&sandbox, "bob", None, &daemon)?;
    for step in STORY {
        let (name, client) = match step.who {
            Who::Alice => ("alice", &alice),
            Who::Bob => ("bob", &bob),
        };
        tell(name, client, step)?;
    }
    println!("\nThe service is asked to stop.");
    let status = daemon.stop()?;
    ensure!(status.success(), "the daemon ended with {status}");
    println!("It did. Each step went as told.");
    Ok(())
}

fn tell(name: &str, client: &Client, step: &Step) -> anyhow::Result<()> {
    let Step { tells, arguments, input, code, prints, .. } = step;
    let pipe = match input.trim_end() {
        "" => String::new(),
        text => format!("echo {text} | "),
    };
    println!("\n{tells}\n{name}$ {pipe}multipass {}", arguments.join(" "));
    let outcome = client.run_with_input(arguments, input)?;
    let printed = format!("{}{}", outcome.stdout, outcome.stderr);
    print!("{printed}");
    println!("[exit code {}]", outcome.code);
    if outcome.code != *code || !printed.contains(prints) || (prints.is_empty() && !printed.is_empty()) {
        bail!("this step should have ended with {code} and printed {prints:?}");
    }
    Ok(())
}
