//! Revocation on disk: what stays, what goes, and that it stays gone.

use std::fs;
use std::sync::{Arc, Mutex};

use auth_core::{
    Actor, Change, ClientName, Condition, Enrolment, FileStore, Level, Notice, Outcome, StoreError,
    TrustStore,
};

use crate::support::{Data, Unrecorded, certificate, enrol, local, now};

/// A store with all that it reports.
fn watched(data: &Data) -> (FileStore, Arc<Mutex<Vec<Notice>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notices);
    let store = FileStore::open(&data.path(), now(), move |notice| sink.lock().unwrap().push(notice.clone()));
    (store.unwrap(), notices)
}

#[test]
fn a_block_goes_with_its_note_and_nothing_else_does() {
    let [a, b, c] = ["a", "b", "c"].map(certificate);
    for end in ["\n", "\r\n"] {
        let pem = |certificate: &auth_core::ClientCertificate| certificate.to_pem().replace('\n', end);
        let by_hand = format!(
            "# by hand{end}{}{end}# bob, twice{end}{}# and more{end}{}# the end{end}",
            pem(&a),
            pem(&b),
            pem(&b)
        );
        let data = Data::with_clients(&by_hand);
        let store = data.open();
        enrol(&store, &Condition::WantedBy(Actor::Administrator), &c);
        store.revoke(&c).unwrap();
        assert_eq!(String::from_utf8(data.text()).unwrap(), by_hand, "{end:?}: as before");
        store.revoke(&b).unwrap();
        let left = format!("# by hand{end}{}{end}# bob, twice{end}# and more{end}# the end{end}", pem(&a));
        assert_eq!(String::from_utf8(data.text()).unwrap(), left, "{end:?}");
        for store in [&store, &data.open()] {
            assert!(store.contains(&a.fingerprint()));
            assert!(!store.contains(&b.fingerprint()) && !store.contains(&c.fingerprint()));
        }
    }
}

#[test]
fn what_is_put_back_into_the_file_stays_out() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(format!("{}{}", a.to_pem(), b.to_pem()));
    let before = data.text();
    let store = data.open();
    store.revoke(&b).unwrap();
    fs::write(data.clients(), before).unwrap();
    store.reload().unwrap();
    assert!(!store.contains(&b.fingerprint()));
    let (again, notices) = watched(&data);
    assert!(again.contains(&a.fingerprint()) && !again.contains(&b.fingerprint()));
    assert_eq!(*notices.lock().unwrap(), [Notice::RevokedInFile(b.fingerprint())], "and it is told");
    let listed: Vec<_> = again.clients().unwrap().into_iter().map(|client| client.fingerprint).collect();
    assert_eq!(listed, [a.fingerprint()]);

    // An administrator's word counts for more, and then nothing is left of the revocation.
    enrol(&again, &Condition::WantedBy(Actor::Administrator), &b);
    assert!(again.contains(&b.fingerprint()) && data.open().contains(&b.fingerprint()));
    assert_eq!(data.blocks(), 2, "it was there already");
}

#[test]
fn a_revocation_that_failed_half_way_holds_and_can_be_finished() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(format!("{}{}", a.to_pem(), b.to_pem()));
    data.open().revoke(&b).unwrap();
    // As a crash between the two writes leaves it.
    fs::write(data.clients(), format!("{}{}", a.to_pem(), b.to_pem())).unwrap();
    let store = data.open();
    assert!(!store.contains(&b.fingerprint()));
    assert_eq!(store.revoke(&b).unwrap(), Outcome::Changed);
    assert_eq!(data.blocks(), 1);
    assert_eq!(store.revoke(&b).unwrap(), Outcome::ConditionFailed);
}

#[test]
fn a_list_of_revoked_clients_that_cannot_be_understood_is_an_error() {
    let a = certificate("a");
    let whole = format!("{} 2023-11-14T22:13:20Z\n", a.fingerprint());
    for (text, line) in [
        ("words\n".to_owned(), Some(1)),
        (format!("{whole}\n"), Some(2)),
        (format!("{whole}{}", &whole[..40]), Some(2)),
        (format!("{whole}\u{e9}\n"), Some(2)),
        (whole.replace(' ', "x "), Some(1)),
        (String::new(), None),
        (whole.clone(), None),
        (whole.trim_end().to_owned(), None),
        (format!("{}\n", a.fingerprint()), None),
    ] {
        let data = Data::with_clients(a.to_pem());
        fs::write(data.directory().join("revoked"), &text).unwrap();
        match (data.try_open(), line) {
            (Ok((store, _)), None) => {
                assert_eq!(store.contains(&a.fingerprint()), text.is_empty(), "{text:?}")
            }
            (Err(error @ StoreError::NotRevoked { .. }), Some(line)) => {
                let told = error.to_string();
                assert!(told.starts_with(&format!("line {line} of ")) && told.contains("revoked"), "{told}");
            }
            (other, _) => panic!("{text:?}: {other:?}"),
        }
    }
    // Bytes that are no text.
    let data = Data::with_clients(a.to_pem());
    fs::write(data.directory().join("revoked"), [whole.as_bytes(), &[0xff, b'\n']].concat()).unwrap();
    assert!(matches!(data.try_open(), Err(StoreError::NotRevoked { line: 2, .. })));
}

#[test]
fn that_others_are_trusted_is_told_however_it_came() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(certificate);
    let text = |clients: &[&auth_core::ClientCertificate]| -> String {
        clients.iter().map(|client| client.to_pem()).collect()
    };
    let data = Data::with_clients(text(&[&a, &b, &c, &d]));
    let (store, notices) = watched(&data);
    let told = || std::mem::take(&mut *notices.lock().unwrap());
    store.revoke(&a).unwrap();
    assert_eq!(
        told(),
        [Notice::TrustChanged { gone: vec![a.fingerprint()], reduced: vec![] }],
        "by this store"
    );
    fs::write(data.clients(), text(&[&c, &d])).unwrap();
    assert_eq!(told(), []);
    store.reload().unwrap();
    assert_eq!(told(), [Notice::TrustChanged { gone: vec![b.fingerprint()], reduced: vec![] }], "by hand");
    data.open().revoke(&c).unwrap();
    store.set_passphrase(None).unwrap();
    assert_eq!(
        told(),
        [Notice::TrustChanged { gone: vec![c.fingerprint()], reduced: vec![] }],
        "by another process, seen at a change"
    );
    store.set_passphrase(None).unwrap();
    store.reload().unwrap();
    assert_eq!(told(), []);
    // Who came is not told by name, only that somebody did: the gate may have to be opened.
    enrol(&data.open(), &Condition::WantedBy(Actor::Administrator), &c);
    store.set_passphrase(None).unwrap();
    assert_eq!(told(), [Notice::TrustChanged { gone: vec![], reduced: vec![] }]);
    assert!(store.contains(&d.fingerprint()));
}

#[test]
fn clients_are_listed_with_what_was_written_down() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(certificate);
    let long = "x".repeat(65);
    let data = Data::with_clients(format!(
        "{}# multipass-client: how=passphrase name={long} from=\u{e9} added=\u{1b}[31m color=red\n{}",
        a.to_pem(),
        b.to_pem()
    ));
    let store = data.open();
    let name: ClientName = "carol".parse().unwrap();
    let channel = local(1000, 1000, &[]);
    let (condition, certificate) = (Condition::WantedBy(Actor::Administrator), &c);
    let enrolment = Enrolment {
        condition,
        certificate,
        level: Level::Full,
        channel: Some(&channel),
        name: Some(&name),
        at: now(),
    };
    store.make(&Change::Enrol(enrolment)).unwrap();
    enrol(&store, &Condition::WantedBy(Actor::Administrator), &d);

    let listed = store.clients().unwrap();
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    let shown: Vec<_> = listed
        .iter()
        .map(|it| (it.fingerprint, word(&it.name), word(&it.added), word(&it.how), word(&it.from)))
        .collect();
    let row = |client: &auth_core::ClientCertificate, words: [&str; 4]| {
        let [name, added, how, from] = words.map(str::to_owned);
        (client.fingerprint(), name, added, how, from)
    };
    let expected = [
        row(&a, ["", "", "", ""]),
        row(&b, ["", "", "passphrase", ""]),
        row(&c, ["carol", "2023-11-14T22:13:20Z", "added", "uid:1000"]),
        row(&d, ["", "2023-11-14T22:13:20Z", "added", "uid:0"]),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn where_somebody_was_revoked_nobody_is_awaited() {
    let a = certificate("a");
    let data = Data::with_clients(a.to_pem());
    data.open().revoke(&a).unwrap();
    // As where only a part was restored, or the marker could not be written.
    fs::remove_file(data.directory().join("enrolled-once")).unwrap();
    assert!(!data.open().is_armed());
    assert!(data.names().contains(&"enrolled-once".to_owned()), "{:?}", data.names());
}
