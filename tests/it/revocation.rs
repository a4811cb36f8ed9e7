//! Clients whose trust ends while they are connected: they are cut off, and nobody else is.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;

use crate::peer::{Identity, Peer, Place};
use crate::support::{Service, outsider};
use e2e::{is_root, skip};

/// How soon the calls of a client have to end.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_revoked_clients_calls_end_within_a_second() {
    cut_off(|_, mut administrator, client| {
        Box::pin(async move { administrator.revoke(&client).await.unwrap() })
    });
}

#[test]
fn so_do_those_of_a_client_that_may_only_read_from_now_on() {
    cut_off(|_, mut administrator, client| {
        Box::pin(async move { administrator.set_level(&client, "read-only").await.unwrap() })
    });
}

#[test]
fn so_do_those_of_a_client_whose_block_was_removed_by_hand() {
    cut_off(|service, _, client| {
        let text = fs::read_to_string(service.trust_file()).expect("text");
        assert!(text.contains(client.certificate.trim()), "{text}");
        fs::write(service.trust_file(), text.replace(client.certificate.trim(), "")).expect("written");
        kill(Pid::from_raw(service.daemon.pid().try_into().expect("a pid")), Signal::SIGHUP).expect("sent");
        Box::pin(async {})
    });
}

type Done = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Has a call of a client in progress, ends the trust in that client, and looks at who is still there.
fn cut_off(end_trust: impl FnOnce(&Service, Peer, Identity) -> Done) {
    if !is_root() {
        return skip("needs root, to administer a service without being its client");
    }
    let service = Service::start();
    let place = Place::of(&service.daemon);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (client, other) = (Identity::new(), Identity::new());
        let mut administrator = Peer::connect(&place, None).await.unwrap();
        administrator.add(&client).await.unwrap();
        administrator.add(&other).await.unwrap();
        // As an ordinary user: root may go on. Each test has a process of its own.
        nix::unistd::seteuid(outsider().uid.into()).unwrap();
        let mut theirs = Peer::connect(&place, Some(&client)).await.unwrap();
        let mut others = Peer::connect(&place, Some(&other)).await.unwrap();
        nix::unistd::seteuid(0.into()).unwrap();
        theirs.list().await.unwrap();
        others.list().await.unwrap();
        // It never sends its request, and is waited for.
        let mut calling = theirs.clone();
        let call = tokio::spawn(async move {
            calling.rpc.list(tokio_stream::pending::<rpc::ListRequest>()).await?.into_inner().message().await
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!call.is_finished(), "no call in progress");

        end_trust(&service, administrator, client).await;
        let ended = timeout(AT_ONCE, call)
            .await
            .unwrap_or_else(|_| panic!("no end within a second: {}", service.daemon.logged()));
        let ended = ended.expect("no panic");
        assert!(ended.is_err(), "{ended:?}");
        assert!(theirs.ping().await.is_err(), "its connection is still open");
        others.list().await.expect("another's connection stays");
    });
}
