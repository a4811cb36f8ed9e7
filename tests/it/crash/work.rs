//! All that changes what a service remembers, at once and without end, until the service is gone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use e2e::Via;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::ledger::{Ledger, Standing};
use super::{Places, Random};
use crate::peer::{Identity, Peer, Place};

/// How long anything may take before something is wrong with the daemon.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long those are waited for whom nobody tells that the daemon is gone.
const MOMENT: Duration = Duration::from_millis(100);
const WRONG: &str = "open barley";

/// Those who work. They end with the daemon.
pub(super) struct Work(JoinSet<()>);

impl Work {
    /// Begins, in a runtime. The daemon may be starting yet.
    pub(super) fn begin(places: &Places, ledger: &Ledger, random: &mut Random) -> Self {
        let Places { clients, local } = places;
        let mut tasks = JoinSet::new();
        let awaited = !ledger.somebody_was_enrolled();
        if awaited {
            for _ in 0..2 {
                tasks.spawn(be_first(local.clone(), ledger.clone()));
            }
        }
        // Where the first client is awaited, sometimes it comes before all others and sometimes after.
        let mut pause = || Duration::from_millis(if awaited { random.below(60) } else { 0 });
        tasks.spawn(authenticate(clients.clone(), ledger.clone(), pause()));
        tasks.spawn(guess_wrongly(clients.clone(), ledger.clone(), pause()));
        tasks.spawn(set_passphrases(local.clone(), ledger.clone(), pause()));
        tasks.spawn(add(local.clone(), ledger.clone(), pause()));
        tasks.spawn(revoke(local.clone(), ledger.clone(), pause(), random.fork()));
        Self(tasks)
    }

    /// Waits for their ends; the daemon is gone. Over QUIC nobody but a clock tells those that wait for an answer,
    /// which will not come.
    pub(super) async fn end(mut self, via: Via) {
        let deadline = if via == Via::Quic { MOMENT } else { DEADLINE };
        let ended = async {
            while let Some(end) = self.0.join_next().await {
                end.expect("no panic");
            }
        };
        let ended = timeout(deadline, ended).await;
        assert!(ended.is_ok() || via == Via::Quic, "no end, and there is no daemon any more");
        // Of what those were about nothing is certain.
        self.0.shutdown().await;
    }
}

/// A connection to a daemon that may be starting yet; none where it never comes.
async fn reach(place: &Place, identity: Option<&Identity>) -> Option<Peer> {
    for _ in 0..200 {
        if let Ok(peer) = Peer::connect(place, identity).await {
            return Some(peer);
        }
        sleep(Duration::from_millis(2)).await;
    }
    None
}

fn is_over(result: &Result<(), Status>) -> bool {
    let codes = [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled];
    result.as_ref().is_err_and(|status| codes.contains(&status.code()))
}

async fn be_first(place: Place, ledger: Ledger) {
    let client = ledger.newcomer();
    let Some(mut peer) = reach(&place, Some(&client)).await else { return };
    let _ = ledger.change(&client, Standing::Trusted, peer.list()).await;
}

async fn authenticate(place: Place, ledger: Ledger, pause: Duration) {
    sleep(pause).await;
    let Some(mut idle) = reach(&place, None).await else { return };
    // As long as there is a daemon.
    while !is_over(&idle.ping().await) {
        let Some(passphrase) = ledger.passphrases().into_iter().flatten().next() else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let client = ledger.newcomer();
        let Ok(mut peer) = Peer::connect(&place, Some(&client)).await else { return };
        let _ = ledger.change(&client, Standing::Trusted, peer.authenticate(&passphrase)).await;
    }
}

/// Once: more often, and the others would have to wait.
async fn guess_wrongly(place: Place, ledger: Ledger, pause: Duration) {
    sleep(pause).await;
    let client = ledger.newcomer();
    let Some(mut peer) = reach(&place, Some(&client)).await else { return };
    // Whatever becomes of the call, the ledger knows a stranger.
    assert!(peer.authenticate(WRONG).await.is_err(), "a wrong passphrase let somebody in");
}

async fn set_passphrases(place: Place, ledger: Ledger, pause: Duration) {
    sleep(pause).await;
    let Some(mut administrator) = reach(&place, None).await else { return };
    for number in 0_u32.. {
        // Mostly there is one, and no two are the same.
        let passphrase = (number % 4 != 3).then(|| format!("passphrase of {:?}", SystemTime::now()));
        let call = administrator.set_passphrase(passphrase.as_deref());
        if is_over(&ledger.change_passphrase(passphrase.clone(), call).await) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn add(place: Place, ledger: Ledger, pause: Duration) {
    sleep(pause).await;
    let Some(mut administrator) = reach(&place, None).await else { return };
    loop {
        let client = ledger.newcomer();
        if is_over(&ledger.change(&client, Standing::Trusted, administrator.add(&client)).await) {
            return;
        }
    }
}

async fn revoke(place: Place, ledger: Ledger, pause: Duration, mut random: Random) {
    sleep(pause).await;
    let Some(mut administrator) = reach(&place, None).await else { return };
    while !is_over(&administrator.ping().await) {
        // One stays, who asks after the passphrase later.
        let trusted = ledger.all(Standing::Trusted);
        let Some((_, others)) = trusted.split_first().filter(|(_, others)| !others.is_empty()) else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let client = Arc::clone(&others[random.index(others.len())]);
        let _ = ledger.change(&client, Standing::Stranger, administrator.revoke(&client)).await;
    }
}
