//! A daemon on a network: who is enrolled there, who is not, and where it listens.

use std::fs;
use std::process::Command;

use e2e::{Daemon, DaemonOptions, Sandbox, Via};
use tonic::Code;

use crate::peer::{Identity, Peer, Place};
use crate::support::{DAEMON, Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, run};

/// Strangers who would each like to be the first client.
const STRANGERS: usize = 100;

fn over(via: Via) -> DaemonOptions {
    DaemonOptions { via, ..DaemonOptions::default() }
}

#[test]
fn over_a_network_nobody_is_the_first_client() {
    for via in [Via::Tcp, Via::Quic] {
        let service = Service::start_with(over(via));
        turns_strangers_away(&service);
        // The place is still free: the daemon awaits its first client as before.
        let awaited = service.daemon.data.join("authenticated-certs/first-client-awaited");
        assert!(awaited.exists(), "{via:?}");
    }
}

/// A hundred come over the network, and none is enrolled.
#[track_caller]
pub(crate) fn turns_strangers_away(service: &Service) {
    let place = Place::of(&service.daemon);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..STRANGERS {
            let mut peer = Peer::connect(&place, Some(&Identity::new())).await.expect("a connection");
            let refused = peer.list().await.expect_err("nobody is trusted");
            assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        }
    });
    assert_eq!(service.trusted(), 0, "over {}", service.daemon.address());
}

#[test]
fn who_is_trusted_over_one_transport_is_over_all() {
    let also = vec![Via::Tcp, Via::Quic];
    let service = Service::start_with(DaemonOptions { also, ..DaemonOptions::default() });
    let first = service.first_client();
    run(&first, &["set", "local.passphrase=open sesame"]).prints("");
    let address = |via| service.daemon.address_over(via).expect("an address").to_owned();
    for (name, via) in [("tcp", Via::Tcp), ("quic", Via::Quic)] {
        run(&first.clone().at(&address(via)), &["list"]).prints(NO_INSTANCES);
        let user = service.user(name).at(&address(via));
        run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
        run(&user, &["authenticate", "open sesame"]).prints("");
        for other in [Via::Unix, Via::Tcp, Via::Quic] {
            run(&user.clone().at(&address(other)), &["list"]).prints(NO_INSTANCES);
        }
    }
    assert_eq!(service.trusted(), 3);
}

/// Of a caller over a network nobody knows whether it is root: there the certificate alone counts.
#[test]
fn over_a_network_root_is_nobody() {
    for via in [Via::Tcp, Via::Quic] {
        let service = Service::start_with(over(via));
        service.first_client();
        let root = service.user("root");
        for (arguments, beginning) in [
            (&["clients", "list"][..], "clients failed: "),
            (&["clients", "add", "--self"], "clients add failed: "),
            (&["set", "local.passphrase=mine"], "set failed: "),
        ] {
            run(&root, arguments).fails(2, beginning, &[]);
        }
        assert_eq!(service.trusted(), 1, "{via:?}");
    }
}

#[test]
fn it_listens_on_loopback_alone_unless_told_otherwise() {
    let also = vec![Via::Tcp, Via::Quic];
    let service = Service::start_with(DaemonOptions { also: also.clone(), ..DaemonOptions::default() });
    let listening = listening(&service.daemon);
    for (kind, address) in &listening {
        assert!(["127.0.0.1", "[::1]"].contains(&address.as_str()), "{kind} on {address}");
    }
    for kind in ["tcp", "udp"] {
        assert!(listening.iter().any(|(known, _)| known == kind), "nothing of {kind}: {listening:?}");
    }
    drop(service);

    for scheme in ["", "quic:"] {
        let arguments = ["--address".to_owned(), format!("{scheme}0.0.0.0:0")];
        let sandbox = Sandbox::of_this_build().expect("a sandbox");
        let options = DaemonOptions { arguments: arguments.to_vec(), ..DaemonOptions::default() };
        let mut refused = Daemon::spawn(&sandbox, DAEMON, &options).expect("the program runs");
        assert_eq!(refused.wait().expect("an end").code(), Some(1));
        for part in ["0.0.0.0", "allow_remote = true", "--allow-remote"] {
            assert!(refused.logged().contains(part), "no {part}: {}", refused.logged());
        }
        assert!(!refused.socket.exists(), "the Unix socket is left behind");

        let arguments = [&arguments[..], &["--allow-remote".to_owned()]].concat();
        let allowed = Service::start_with(DaemonOptions { arguments, ..DaemonOptions::default() });
        let kind = if scheme.is_empty() { "tcp" } else { "udp" };
        let everywhere = (kind.to_owned(), "0.0.0.0".to_owned());
        assert!(self::listening(&allowed.daemon).contains(&everywhere), "{scheme}");
    }
}

/// The kind and address of each network socket on which a daemon listens.
fn listening(daemon: &Daemon) -> Vec<(String, String)> {
    let output = Command::new("ss").args(["-H", "-l", "-t", "-u", "-n", "-p"]).output();
    let output = output.expect("ss (iproute2) should be installed");
    let own = format!("pid={},", daemon.pid());
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains(&own))
        .map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (address, _port) = columns[4].rsplit_once(':').expect("an address and a port");
            (columns[0].to_owned(), address.to_owned())
        })
        .collect()
}

#[test]
fn an_address_in_use_is_told_with_who_holds_it() {
    let service = Service::start_with(over(Via::Tcp));
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let home = sandbox.path(DAEMON);
    fs::create_dir_all(&home).expect("made");
    let (_, port) = service.daemon.address().rsplit_once(':').expect("a port");
    fs::write(home.join("tcp-port"), port).expect("written");
    let mut second = Daemon::spawn(&sandbox, DAEMON, &over(Via::Tcp)).expect("the program runs");
    assert_eq!(second.wait().expect("an end").code(), Some(1));
    let said = second.logged();
    assert!(said.contains("a multipass daemon already listens on"), "{said}");
    // And the one that was there first did not notice.
    run(&service.first_client(), &["list"]).prints(NO_INSTANCES);
}
