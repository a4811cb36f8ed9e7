//! Trusted clients that take more than their share of connections: they take it from themselves, and from those of
//! their own level at most.

use std::time::Duration;

use e2e::{DaemonOptions, Via, is_root, skip};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::peer::{Identity, Peer, Place};
use crate::support::Service;

/// Few, so that they are soon all taken: they leave 48 places for clients, of which one may have 12, the last six are
/// kept for root, and six for the full level.
const DESCRIPTORS: u32 = 160;
const SHARE: usize = 12;
const FOR_READERS: usize = 36;
/// What is not timed still has to happen.
const SOON: Duration = Duration::from_secs(20);

/// A connection of a client that is served, or why it is not.
async fn served(place: &Place, identity: &Identity) -> Result<Peer, Status> {
    let mut peer = Peer::connect(place, Some(identity)).await?;
    peer.ping().await?;
    Ok(peer)
}

#[track_caller]
fn assert_refused(outcome: Result<Peer, Status>, why: &str) {
    let status = outcome.expect_err("there is no place");
    assert_eq!(
        (status.code(), status.message().contains(why)),
        (Code::ResourceExhausted, true),
        "{status:?}"
    );
}

#[test]
fn clients_that_may_only_read_take_no_place_from_others_nor_from_who_can_revoke_them() {
    if !is_root() {
        return skip("needs root, to administer a service without being its client");
    }
    let options = DaemonOptions {
        via: Via::Unix,
        also: vec![Via::Tcp],
        descriptors: Some(DESCRIPTORS),
        ..DaemonOptions::default()
    };
    let service = Service::start_with(options);
    let unix = Place::of(&service.daemon);
    let tcp = Place::at(&service.daemon, service.daemon.address_over(Via::Tcp).expect("an address"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut root = Peer::connect(&unix, None).await.unwrap();
        let (full, last) = (Identity::new(), Identity::new());
        root.add(&full).await.unwrap();
        root.add_at(&last, "read-only").await.unwrap();
        let mut readers = Vec::new();
        let mut held: Vec<Peer> = Vec::new();
        for _ in 0..FOR_READERS / SHARE {
            let reader = Identity::new();
            root.add_at(&reader, "read-only").await.unwrap();
            // Root's own connection has one place of all.
            while held.len() + 1 < FOR_READERS {
                match served(&tcp, &reader).await {
                    Ok(peer) => held.push(peer),
                    Err(status) => {
                        assert!(held.len().is_multiple_of(SHARE), "after {}: {status:?}", held.len());
                        assert_refused(Err(status), "as many connections to the service as one may have");
                        break;
                    }
                }
            }
            readers.push(reader);
        }
        assert_eq!(held.len() + 1, FOR_READERS);
        for _ in 0..3 {
            assert_refused(served(&tcp, &readers[0]).await, "as one may have");
        }
        assert_refused(served(&tcp, &last).await, "for this client's level");
        for peer in &mut held {
            peer.ping().await.expect("who was here before stays");
        }

        // Who can do something about it is served: over a new connection, each by its own way.
        served(&tcp, &full).await.expect("a place is kept for the full level").list().await.unwrap();
        let mut again = Peer::connect(&unix, None).await.unwrap();
        again.revoke(&readers[0]).await.expect("a place is kept for root");
        let has_a_place = async {
            while let Err(status) = served(&tcp, &last).await {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, has_a_place).await.expect("the revoked client's places are free");
    });
    let log = service.daemon.logged();
    let told = log.lines().filter(|line| line.contains("refused a connection of a trusted client")).count();
    assert_eq!(told, 2, "each cause once a minute: {log}");
}
