//! The client of the user who installs the service: the first one, or none.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use auth_core::testkit::{NoAudit, NoGate};
use auth_core::{
    Admission, Audit, Authority, ClientCertificate, ClientName, Condition, Denied, Entry, Fingerprint,
    Recovery, StoreError, TrustStore,
};

use crate::support::{Data, RULE, Unrecorded, by_passphrase, certificate, enrol, now, root, stranger};

fn enrol_installer(store: &dyn TrustStore, client: &ClientCertificate) -> bool {
    Recovery { store, audit: &NoAudit }.enrol_installer(client, None, now()).unwrap()
}

#[test]
fn it_is_the_first_where_nobody_was_ever_enrolled() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let data = Data::new();
    // A daemon that runs meanwhile learns of it.
    let daemon = Arc::new(data.open());
    let judge = Authority::new(daemon.clone(), Box::new(NoGate), RULE, Arc::new(NoAudit));
    let Ok(Admission::FirstClient(claim)) = judge.admit(&root(&bob)) else { panic!("not awaited") };
    let by_hand = data.open();
    let name: ClientName = "alice".parse().unwrap();
    let recovery = Recovery { store: &by_hand, audit: &NoAudit };
    assert!(recovery.enrol_installer(&alice, Some(&name), now()).unwrap());
    assert!(daemon.is_stale());
    // Who was about to be the first comes too late, whether the daemon has noticed or not.
    assert!(matches!(judge.enrol_first(&claim, now()), Err(Denied::NotFirst)));
    daemon.reload().unwrap();
    assert!(judge.recognise(&stranger(&alice)).is_ok());
    assert!(matches!(judge.admit(&root(&bob)), Err(Denied::NotTrusted)));

    let [known] = data.open().clients().unwrap().try_into().expect("one client");
    assert_eq!(known.fingerprint, alice.fingerprint());
    assert_eq!([known.how.as_deref(), known.name.as_deref()], [Some("installer"), Some("alice")]);
    assert_eq!(known.from, None);

    // Once, and no other after it.
    for client in [&alice, &bob] {
        assert!(!recovery.enrol_installer(client, None, now()).unwrap());
    }
    assert_eq!(data.blocks(), 1);
}

#[test]
fn it_is_nobody_where_somebody_was_enrolled_once() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    type Past = fn(&Data, &ClientCertificate);
    let pasts: [(&str, Past); 6] = [
        ("a first client", |data, bob| enrol(&data.open(), &Condition::FirstClient, bob)),
        ("by the passphrase", |data, bob| {
            let store = data.open();
            let condition = by_passphrase(&store);
            enrol(&store, &condition, bob);
        }),
        ("added, then revoked", |data, bob| {
            let store = data.open();
            enrol(&store, &Condition::FirstClient, bob);
            store.revoke(bob).unwrap();
        }),
        ("an earlier installer's, then revoked", |data, bob| {
            let store = data.open();
            assert!(enrol_installer(&store, bob));
            store.revoke(bob).unwrap();
        }),
        ("the trust file removed by hand", |data, bob| {
            enrol(&data.open(), &Condition::FirstClient, bob);
            std::fs::remove_file(data.clients()).unwrap();
        }),
        ("a certificate put there by hand", |data, bob| {
            data.open();
            std::fs::write(data.clients(), bob.to_pem()).unwrap();
        }),
    ];
    for (past, prepare) in pasts {
        let data = Data::new();
        prepare(&data, &bob);
        let before = data.open().clients().unwrap();
        let store = data.open();
        assert!(!enrol_installer(&store, &alice), "{past}");
        assert_eq!(data.open().clients().unwrap(), before, "{past}");
        assert!(!store.is_armed() && !data.open().is_armed(), "{past}");
        assert!(!store.contains(&alice.fingerprint()), "{past}");
    }
}

/// What is damaged may have been somebody.
#[test]
fn it_is_nobody_where_the_trust_file_is_damaged() {
    let data = Data::new();
    let store = data.open();
    std::fs::write(data.clients(), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    assert!(!enrol_installer(&store, &certificate("alice")));
    let (opened, damage) = data.try_open().unwrap();
    assert_eq!(damage.len(), 1);
    assert!(!enrol_installer(&opened, &certificate("alice")));
}

#[test]
fn it_is_again_where_the_first_client_is_awaited_again() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let data = Data::new();
    let store = data.open();
    enrol(&store, &Condition::FirstClient, &bob);
    store.revoke(&bob).unwrap();
    assert!(Recovery { store: &store, audit: &NoAudit }.await_first(now()).unwrap());
    assert!(enrol_installer(&data.open(), &alice));
    assert!(!data.open().is_armed());
}

/// Installers and claims of callers at once, each at a store of its own, as processes are.
#[test]
fn of_sixteen_at_once_one_is_first() {
    const CALLERS: usize = 16;
    const ROUNDS: usize = 30;
    let clients: Vec<_> = (0..CALLERS).map(|n| certificate(&format!("client-{n}"))).collect();
    for round in 0..ROUNDS {
        let data = Data::new();
        data.open();
        let start = Barrier::new(CALLERS);
        let enrolled: HashSet<_> = thread::scope(|scope| {
            let callers: Vec<_> = clients
                .iter()
                .enumerate()
                .map(|(number, client)| {
                    let (start, store) = (&start, Arc::new(data.open()));
                    scope.spawn(move || {
                        if number % 2 == 0 {
                            start.wait();
                            return enrol_installer(&*store, client).then(|| client.fingerprint());
                        }
                        let judge = Authority::new(store, Box::new(NoGate), RULE, Arc::new(NoAudit));
                        let Ok(Admission::FirstClient(claim)) = judge.admit(&root(client)) else { panic!() };
                        start.wait();
                        judge.enrol_first(&claim, now()).ok().map(|first| first.client())
                    })
                })
                .collect();
            callers.into_iter().filter_map(|caller| caller.join().unwrap()).collect()
        });
        let trusted: HashSet<_> =
            data.open().clients().unwrap().into_iter().map(|client| client.fingerprint).collect();
        assert_eq!((enrolled.len(), data.blocks()), (1, 1), "round {round}");
        assert_eq!(enrolled, trusted, "round {round}");
    }
}

/// What is written down, and whether that works.
#[derive(Debug, Default)]
struct Protocol {
    is_full: bool,
    lines: Mutex<Vec<Line>>,
}

/// What is done, by whom, whether by a call, and to whom.
type Line = (&'static str, String, bool, Option<Fingerprint>);

impl Audit for Protocol {
    fn record(&self, entry: &Entry<'_>) -> io::Result<()> {
        if self.is_full {
            return Err(io::Error::other("no space"));
        }
        let line = (entry.event.name(), entry.by.to_string(), entry.from.is_some(), entry.client);
        self.lines.lock().unwrap().push(line);
        Ok(())
    }
}

#[test]
fn it_is_on_record_as_the_installers() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let (data, audit) = (Data::new(), Protocol::default());
    let store = data.open();
    let recovery = Recovery { store: &store, audit: &audit };
    for client in [&alice, &alice, &bob] {
        recovery.enrol_installer(client, None, now()).unwrap();
    }
    let once = ("installer_enrolled", "administrator".to_owned(), false, Some(alice.fingerprint()));
    assert_eq!(*audit.lines.lock().unwrap(), [once]);
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let data = Data::new();
    let store = data.open();
    let audit = Protocol { is_full: true, ..Protocol::default() };
    let recovery = Recovery { store: &store, audit: &audit };
    let result = recovery.enrol_installer(&certificate("alice"), None, now());
    assert!(matches!(result, Err(StoreError::NotRecorded(_))), "{result:?}");
    assert!(store.is_armed() && data.open().is_armed() && data.open().is_empty());
}
