//! What the kernel says about who connects.

use nix::unistd::{getegid, geteuid, getgroups};
use tokio::net::UnixStream;
use transport::testkit::{is_root, run};
use transport::{Connection, Listener, Origin, OsCredentials, Transport};
use transport_unix::{SocketAccess, UnixListener, UnixTransport};

use crate::support::{NOBODY, Place, Stranger};

async fn next_origin(listener: &mut UnixListener) -> OsCredentials {
    match listener.accept().await.unwrap().origin() {
        Origin::Local(credentials) => credentials.clone(),
        other => panic!("{other:?}"),
    }
}

fn sorted(mut groups: Vec<u32>) -> Vec<u32> {
    groups.sort_unstable();
    groups
}

fn own_credentials() -> OsCredentials {
    OsCredentials {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        groups: sorted(getgroups().unwrap().into_iter().map(nix::unistd::Gid::as_raw).collect()),
        pid: Some(std::process::id().try_into().unwrap()),
    }
}

#[test]
fn a_process_is_known_by_its_credentials() {
    run(async {
        let place = Place::new();
        let mut listener = place.bind(SocketAccess::Private).await.unwrap();
        let _peer = UnixStream::connect(place.socket()).await.unwrap();
        let mut origin = next_origin(&mut listener).await;
        origin.groups = sorted(origin.groups);
        assert_eq!(origin, own_credentials());
    });
}

#[test]
fn both_ends_of_a_connection_know_the_other() {
    run(async {
        let place = Place::new();
        let mut listener = place.bind(SocketAccess::Private).await.unwrap();
        let (transport, endpoint) = (UnixTransport::default(), place.endpoint());
        let (client, server) = tokio::join!(transport.dial(&endpoint, place.server.client(None)), async {
            listener.accept().await.unwrap().handshake().await
        },);
        for end in [client.unwrap(), server.unwrap()] as [Box<dyn Connection>; 2] {
            let Origin::Local(origin) = &end.peer().origin else { panic!("{:?}", end.peer()) };
            assert_eq!((origin.uid, origin.pid), (own_credentials().uid, own_credentials().pid));
        }
    });
}

/// The kernel's answer about groups takes one more question when there are more than 64.
#[test]
fn the_groups_of_other_users_are_the_process_s_own() {
    if !is_root("the_groups_of_other_users_are_the_process_s_own") {
        return;
    }
    run(async {
        let place = Place::new();
        let mut listener = place.bind(SocketAccess::Everyone).await.unwrap();
        for groups in
            [vec![], vec![27, 1000], (1000..1064).collect(), (1000..1065).collect(), (1..=1000).collect()]
        {
            let stranger = Stranger::connect(&place.socket(), &groups);
            assert_eq!(stranger.answer, "connected");
            let mut origin = next_origin(&mut listener).await;
            origin.groups = sorted(origin.groups);
            let expected = OsCredentials { uid: NOBODY, gid: NOBODY, groups, pid: Some(stranger.pid()) };
            assert_eq!(origin, expected);
        }
    });
}

/// What a peer was when it connected counts, also if it has gone before it is accepted.
#[test]
fn a_peer_that_has_gone_is_still_known() {
    if !is_root("a_peer_that_has_gone_is_still_known") {
        return;
    }
    run(async {
        let place = Place::new();
        let mut listener = place.bind(SocketAccess::Everyone).await.unwrap();
        drop(Stranger::connect(&place.socket(), &[27]));
        let origin = next_origin(&mut listener).await;
        assert_eq!((origin.uid, origin.groups), (NOBODY, vec![27]));
    });
}
