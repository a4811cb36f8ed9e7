//! The daemon with clients that share no code with it: certificates made by OpenSSL, messages encoded by
//! hand, and two gRPC stacks under them. grpcio is what the stock client is built on; Python's ssl with
//! hyper-h2 can be told which TLS to speak. What is expected of the daemon stands in the scripts in
//! `tests/python`. All of it goes over the Unix socket and over TCP.
//!
//! A certificate with another's key is not tried here: these stacks refuse to load such a pair.

pub(crate) mod identities;

use std::fs;
use std::path::PathBuf;

use e2e::{Daemon, DaemonOptions, Outcome, Sandbox, Via};

use self::identities::Kind;
use crate::python::Python;

/// The two stacks, as the scripts name them.
const GRPCIO: &str = "grpcio";
const H2: &str = "h2";
/// What the stacks speak.
const VIAS: [Via; 2] = [Via::Unix, Via::Tcp];

#[test]
fn the_whole_flow_with_v3_certificates() {
    whole_flow(Kind::V3);
}

#[test]
fn the_whole_flow_with_v1_certificates() {
    whole_flow(Kind::V1);
}

#[test]
fn the_whole_flow_with_rsa_certificates() {
    whole_flow(Kind::Rsa2048);
}

#[test]
fn the_whole_flow_with_p384_certificates() {
    whole_flow(Kind::P384);
}

#[test]
fn the_whole_flow_with_expired_certificates() {
    whole_flow(Kind::Expired);
}

#[test]
fn the_whole_flow_with_certificates_of_an_authority() {
    whole_flow(Kind::CaSigned);
}

#[test]
fn the_whole_flow_with_ed25519_certificates() {
    whole_flow(Kind::Ed25519);
}

#[test]
fn without_a_certificate() {
    let Some(python) = Python::find() else { return };
    let clients = Clients::new(Kind::V3, &["first"]);
    for (stack, via) in each_stack_and_via() {
        assert_eq!(judged_by(&python, "no_certificate.py", stack, via, &clients), 1, "{stack} {via:?}");
    }
}

#[test]
fn tls_versions_and_groups_with_v3_certificates() {
    tls(Kind::V3);
}

#[test]
fn tls_versions_and_groups_with_v1_certificates() {
    tls(Kind::V1);
}

#[test]
fn tls_versions_and_groups_with_rsa_certificates() {
    tls(Kind::Rsa2048);
}

/// These clients sign on a curve that they do not offer for the key exchange.
#[test]
fn tls_versions_and_groups_with_p384_certificates() {
    tls(Kind::P384);
}

fn whole_flow(kind: Kind) {
    let Some(python) = Python::find() else { return };
    let clients = Clients::new(kind, &["first", "second"]);
    for (stack, via) in each_stack_and_via() {
        assert_eq!(judged_by(&python, "flow.py", stack, via, &clients), 2, "{stack} {via:?}");
    }
}

fn tls(kind: Kind) {
    let Some(python) = Python::find() else { return };
    let clients = Clients::new(kind, &["first", "tls12", "tls12-p256", "tls13", "tls13-p256"]);
    for via in VIAS {
        assert_eq!(judged_by(&python, "tls.py", H2, via, &clients), 5, "{via:?}");
    }
}

fn each_stack_and_via() -> impl Iterator<Item = (&'static str, Via)> {
    [GRPCIO, H2].into_iter().flat_map(|stack| VIAS.map(|via| (stack, via)))
}

/// A sandbox in which some clients have their certificates.
struct Clients {
    sandbox: Sandbox,
    identities: PathBuf,
}

impl Clients {
    fn new(kind: Kind, names: &[&str]) -> Self {
        let sandbox = Sandbox::of_this_build().unwrap();
        let identities = sandbox.path("identities");
        fs::create_dir(&identities).unwrap();
        for name in names {
            kind.make(&identities, name);
        }
        Self { sandbox, identities }
    }
}

/// Runs a script against a fresh daemon. Returns how many clients the daemon trusts at the end: a script that
/// did nothing would leave none.
///
/// # Panics
/// The script found something that is not as it expects.
fn judged_by(python: &Python, script: &str, stack: &str, via: Via, clients: &Clients) -> usize {
    // The Unix socket is for the first client, where it is not for all of them.
    let also = if via == Via::Unix { vec![] } else { vec![Via::Unix] };
    let options = DaemonOptions { verbosity: Some("debug"), via, also, ..Default::default() };
    let daemon = Daemon::start(&clients.sandbox, &format!("{stack}-{via:?}"), &options).unwrap();
    let trusted = daemon.data.join("authenticated-certs/multipass_client_certs.pem");

    let mut command = python.script(script);
    command
        .args(["--stack", stack])
        .args(["--address", daemon.address()])
        .arg("--socket")
        .arg(&daemon.socket)
        .arg("--root")
        .arg(&daemon.root_certificate)
        .arg("--trust-file")
        .arg(&trusted)
        .arg("--identities")
        .arg(&clients.identities);
    let outcome = Outcome::of(&mut command, "").unwrap();
    assert!(
        outcome.code == 0,
        "{script} with {stack} over {via:?}: exit code {}\n{}\n{}\nThe daemon's log:\n{}",
        outcome.code,
        outcome.stdout,
        outcome.stderr,
        daemon.logged()
    );
    fs::read_to_string(trusted).unwrap().matches("BEGIN CERTIFICATE").count()
}
