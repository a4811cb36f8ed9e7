//! The store on disk: what it makes of files that others wrote, and what is left after each failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use auth_core::{
    CertificateError, ClientCertificate, Condition, Outcome, PassphraseHash, StoreError, TrustStore,
};
use proptest::prelude::*;
#[cfg(unix)]
use test_process::{alone, is_root};

use crate::support::{
    Arrival, Data, Unrecorded, by_passphrase, certificate, der, enrol, local, now, passphrase, remote,
};

/// X.509 v1, as clients before 2023 made them (`openssl x509 -req` without extensions).
const V1: &[u8] = include_bytes!("data/x509_v1.pem");
/// Of that certificate, by `openssl x509 -fingerprint -sha256`.
const V1_FINGERPRINT: &str = "c17535b985be917f21676f7c880f1a0c08bf0b9376106a8b87f9545d1843738a";

/// What the store writes ahead of a client that root enrolled by passphrase.
const COMMENT: &str = "# multipass-client: added=2023-11-14T22:13:20Z how=passphrase from=uid:0\n";

/// A block whose second half was never written.
fn torn(certificate: &ClientCertificate) -> String {
    let pem = certificate.to_pem();
    pem[..pem.len() / 2].to_owned()
}

/// A block in which one letter cannot be.
fn garbled(certificate: &ClientCertificate) -> String {
    certificate.to_pem().replacen("MII", "M!I", 1).trim_end().to_owned()
}

fn crlf(certificate: &ClientCertificate) -> String {
    certificate.to_pem().replace('\n', "\r\n")
}

/// All files in the store's directory.
fn contents(data: &Data) -> BTreeMap<String, Vec<u8>> {
    let names = data.names().into_iter();
    names.map(|name| (name.clone(), fs::read(data.directory().join(name)).unwrap_or_default())).collect()
}

fn pem(der: Vec<u8>) -> String {
    pem::encode_config(
        &pem::Pem::new("CERTIFICATE", der),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

#[test]
fn one_certificate_and_nothing_else_is_a_certificate() {
    let good = der("alice");
    let followed_by = |more: &[u8]| [good.as_slice(), more].concat();
    for (bytes, expected, why) in [
        (good.clone(), Ok(()), "a certificate"),
        (followed_by(&[0]), Err(CertificateError::TrailingBytes), "a byte follows"),
        (followed_by(&good), Err(CertificateError::TrailingBytes), "itself follows"),
        (good[..good.len() - 1].to_vec(), Err(CertificateError::NotX509), "a byte is missing"),
        (Vec::new(), Err(CertificateError::NotX509), "nothing"),
        (vec![0x30, 0x00], Err(CertificateError::NotX509), "DER of something else"),
        (V1.to_vec(), Err(CertificateError::NotX509), "PEM"),
    ] {
        assert_eq!(ClientCertificate::from_der(bytes).map(|_| ()), expected, "{why}");
    }
}

#[test]
fn a_certificate_is_shown_as_its_fingerprint() {
    let der = pem::parse(V1).unwrap().into_contents();
    let certificate = ClientCertificate::from_der(der).unwrap();
    assert_eq!(certificate.fingerprint().to_string(), V1_FINGERPRINT);
    assert_eq!(format!("{:?}", certificate.fingerprint()), V1_FINGERPRINT);
    assert_eq!(format!("{certificate:?}"), format!("ClientCertificate({V1_FINGERPRINT})"));
    assert_eq!(certificate.to_pem().as_bytes(), V1, "as openssl writes it");
}

#[test]
fn a_certificate_of_the_first_version_is_trusted() {
    let der = pem::parse(V1).unwrap().into_contents();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(parsed.version(), x509_parser::x509::X509Version::V1, "the fixture is what it should be");

    let client = ClientCertificate::from_der(der.clone()).unwrap();
    assert!(Data::with_clients(V1).open().contains(&client.fingerprint()), "written by hand");
    let data = Data::new();
    enrol(&data.open(), &Condition::FirstClient, &client);
    assert!(data.open().contains(&client.fingerprint()), "enrolled");
}

#[test]
fn what_people_write_is_understood_and_kept() {
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(certificate);
    let (bad, cut) = (garbled(&c), torn(&d));
    let twice = pem([der("x"), vec![0]].concat());
    let parts = [
        ("# alice, laptop\r\n\r\n", false),
        (&crlf(&a), false),
        ("\n  # bob \u{fffd}\n", false),
        (&b.to_pem(), false),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", false),
        (&bad, true),
        ("\nno comment, only words\n", false),
        (twice.trim_end(), true),
        ("\n\n# alice again\n", false),
        (&a.to_pem(), false),
        ("# dave\n", false),
        (&cut, true),
    ];
    let join = |damaged: fn(bool) -> bool| -> String {
        parts.iter().filter(|(_, is)| damaged(*is)).map(|(text, _)| *text).collect()
    };
    let (whole, kept, damaged) = (join(|_| true), join(|is| !is), join(|is| is));

    let data = Data::with_clients(&whole);
    let (store, damage) = data.try_open().unwrap();
    let trusted = [&a, &b, &c, &d, &e].map(|client| store.contains(&client.fingerprint()));
    assert_eq!(trusted, [true, true, false, false, false]);

    // The damage is reported by its place in the file as it was, and is all in one other file.
    let reported: Vec<_> =
        damage.iter().map(|damage| (&whole[damage.bytes.clone()], damage.reason)).collect();
    assert_eq!(
        reported,
        [
            (bad.as_str(), "it is not valid PEM"),
            (twice.trim_end(), "it is not an X.509 certificate"),
            (cut.as_str(), "its END line is missing"),
        ]
    );
    for damage in &damage {
        assert_eq!(damage.kept_in.parent().unwrap(), data.directory());
        assert_eq!(fs::read(&damage.kept_in).unwrap(), damaged.as_bytes());
    }
    assert_eq!(data.set_aside(), [damaged.as_bytes()]);
    assert_eq!(String::from_utf8(data.text()).unwrap(), kept);

    // Nothing is lost by the next write either.
    enrol(&store, &by_passphrase(&store), &e);
    assert_eq!(String::from_utf8(data.text()).unwrap(), format!("{kept}{COMMENT}{}", e.to_pem()));
    let again = data.open();
    let trusted = [&a, &b, &c, &d, &e].map(|client| again.contains(&client.fingerprint()));
    assert_eq!(trusted, [true, true, false, false, true]);
}

#[test]
fn a_file_without_damage_is_not_written_to() {
    let client = certificate("a");
    let text = format!("# by hand\r\n{}{}no newline at the end", crlf(&client), client.to_pem());
    let data = Data::with_clients(&text);
    let mut read_only = fs::metadata(data.clients()).unwrap().permissions();
    read_only.set_readonly(true);
    fs::set_permissions(data.clients(), read_only.clone()).unwrap();

    let store = data.open();
    assert!(store.contains(&client.fingerprint()));
    // Already there: to be enrolled again adds nothing.
    enrol(&store, &by_passphrase(&store), &client);
    assert_eq!(data.text(), text.as_bytes());
    assert_eq!(fs::metadata(data.clients()).unwrap().permissions(), read_only, "it is still the same file");
    assert_eq!(data.set_aside(), [[0; 0]; 0]);
}

#[test]
fn a_new_block_begins_on_a_line_of_its_own() {
    let (a, b) = (certificate("a"), certificate("b"));
    let block = a.to_pem();
    for (before, between) in [
        (Vec::new(), ""),
        (block.clone().into_bytes(), ""),
        (block.trim_end().into(), "\n"),
        (format!("{block}# a remark").into(), "\n"),
        (format!("{block}# a remark\r\n").into(), ""),
        (format!("{block}\n\n\n").into(), ""),
        ([block.as_bytes(), b"# Andr\xe9, in Latin-1 \0\xff"].concat(), "\n"),
    ] {
        let data = Data::with_clients(&before);
        let store = data.open();
        enrol(&store, &by_passphrase(&store), &b);
        let block = b.to_pem();
        let parts = [before.as_slice(), between.as_bytes(), COMMENT.as_bytes(), block.as_bytes()];
        assert_eq!(data.text(), parts.concat(), "{}", String::from_utf8_lossy(&before));
        assert!(data.open().contains(&b.fingerprint()), "{}", String::from_utf8_lossy(&before));
    }
}

#[test]
fn the_comment_says_when_how_and_from_where() {
    let client = certificate("a");
    let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
    for (channel, at, expected) in [
        (local(1000, 27, &[4]), now(), "added=2023-11-14T22:13:20Z how=first-client from=uid:1000"),
        (remote("192.0.2.7"), now(), "added=2023-11-14T22:13:20Z how=first-client from=address:192.0.2.7"),
        (
            remote("2001:db8::7"),
            UNIX_EPOCH,
            "added=1970-01-01T00:00:00Z how=first-client from=address:2001:db8::7",
        ),
        // A clock that was never set enrols like any other.
        (local(0, 0, &[]), before_1970, "added=1970-01-01T00:00:00Z how=first-client from=uid:0"),
    ] {
        let data = Data::new();
        let enrolment = Arrival { certificate: &client, channel: &channel, at };
        assert_eq!(data.open().enrol_if(&Condition::FirstClient, &enrolment).unwrap(), Outcome::Changed);
        let text = String::from_utf8(data.text()).unwrap();
        assert_eq!(text, format!("# multipass-client: {expected}\n{}", client.to_pem()));
    }
}

#[test]
fn clients_appended_while_the_daemon_runs_are_kept_and_trusted_with_the_next_write() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(certificate);
    let data = Data::with_clients(a.to_pem());
    let store = data.open();
    // One is appended, and of another the tail is lost.
    let by_hand = format!("{}# bob\n{}{}", a.to_pem(), b.to_pem(), torn(&d));
    fs::write(data.clients(), &by_hand).unwrap();
    enrol(&store, &by_passphrase(&store), &c);

    let trusted = [&a, &b, &c, &d].map(|client| store.contains(&client.fingerprint()));
    assert_eq!(trusted, [true, true, true, false]);
    let kept = by_hand.strip_suffix(&torn(&d)).unwrap();
    assert_eq!(String::from_utf8(data.text()).unwrap(), format!("{kept}{COMMENT}{}", c.to_pem()));
    assert_eq!(data.set_aside(), [torn(&d).as_bytes()]);
}

#[test]
fn what_was_set_aside_is_never_overwritten() {
    let [a, b, c] = ["a", "b", "c"].map(certificate);
    let data = Data::with_clients(torn(&a));
    let (store, _) = data.try_open().unwrap();
    // Twice more in the same moment, as far as the clock can tell.
    fs::write(data.clients(), torn(&b)).unwrap();
    enrol(&store, &by_passphrase(&store), &c);
    fs::write(data.clients(), garbled(&b)).unwrap();
    let (_, damage) = data.try_open().unwrap();

    assert_eq!(fs::read(&damage[0].kept_in).unwrap(), garbled(&b).as_bytes());
    let earlier = [torn(&a), torn(&b), garbled(&b)].map(String::into_bytes);
    assert_eq!(data.set_aside(), earlier, "in the order of their names, which is that of time");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever stands in the file: certificates are trusted, nothing is lost, and what was read once is
    /// read the same ever after.
    #[test]
    fn no_text_loses_a_client_or_a_byte(
        pieces in prop::collection::vec((0usize..9, "([ -,.-~\t]{0,20}\r?\n){0,3}"), 0..8), marked: bool) {
        let mut clients = Vec::new();
        let (mut text, mut good) = (String::new(), Vec::new());
        for (what, words) in &pieces {
            let client = certificate("x");
            match what {
                0 => text += &client.to_pem(),
                1 => text += &crlf(&client),
                2 => text += client.to_pem().trim_end(),
                3 => text += &torn(&client),
                4 => text += &garbled(&client),
                5 => text += &format!("{}\n", torn(&client)),
                6 => text += &client.to_pem().lines().map(|line| format!("# {line}\n")).collect::<String>(),
                _ => {}
            }
            // Words that follow a block's END on its line leave the next block in the middle of a line.
            if !words.is_empty() && !text.ends_with('\n') && *what != 3 {
                text.push('\n');
            }
            text += words;
            if *what < 3 {
                good.push(client.fingerprint());
            }
            clients.push(client);
        }
        let data = Data::with_clients(&text);
        if marked {
            fs::write(data.directory().join("enrolled-once"), "").unwrap();
        }
        let (store, damage) = data.try_open().unwrap();
        for client in &clients {
            prop_assert_eq!(store.contains(&client.fingerprint()), good.contains(&client.fingerprint()));
        }

        let (mut kept, mut damaged) = (text.clone(), String::new());
        for damage in &damage {
            damaged += &text[damage.bytes.clone()];
        }
        for damage in damage.iter().rev() {
            kept.replace_range(damage.bytes.clone(), "");
        }
        prop_assert_eq!(String::from_utf8(data.text()).unwrap(), kept);
        prop_assert_eq!(data.set_aside().concat(), damaged.as_bytes());
        prop_assert_eq!(store.is_armed(), good.is_empty() && damage.is_empty() && !marked);

        let (again, damage) = data.try_open().unwrap();
        prop_assert_eq!(damage, []);
        prop_assert!(good.iter().all(|client| again.contains(client)));
        prop_assert_eq!(again.is_empty(), good.is_empty());
        prop_assert_eq!(again.is_armed(), store.is_armed());
    }
}

#[test]
fn ten_thousand_clients() {
    let one = der("one of many");
    let certificates: Vec<_> = (0..10_000u32)
        .map(|n| {
            // The last bytes of a certificate are its signature, which is nobody's business here.
            let mut der = one.clone();
            let tail = der.len() - 4;
            der[tail..].copy_from_slice(&n.to_be_bytes());
            ClientCertificate::from_der(der).unwrap()
        })
        .collect();
    let mut text = String::new();
    for (n, certificate) in certificates.iter().enumerate() {
        text += &format!("# client {n}\n{}", certificate.to_pem());
    }
    let data = Data::with_clients(&text);
    let store = data.open();
    assert!(certificates.iter().all(|client| store.contains(&client.fingerprint())));

    let one_more = certificate("one more");
    enrol(&store, &by_passphrase(&store), &one_more);
    assert!(data.text() == format!("{text}{COMMENT}{}", one_more.to_pem()).as_bytes());
    for store in [&store, &data.open()] {
        assert!(certificates.iter().all(|client| store.contains(&client.fingerprint())));
        assert!(store.contains(&one_more.fingerprint()));
    }
}

/// Whether the first client is awaited at each of two starts, after something was done to a directory.
#[test]
fn the_first_client_is_awaited_only_where_nobody_ever_was() {
    let a = certificate("a");
    let enrolled = || {
        let data = Data::new();
        enrol(&data.open(), &Condition::FirstClient, &a);
        data
    };
    let without_clients = |data: Data| {
        fs::remove_file(data.clients()).unwrap();
        data
    };
    let opened = |data: Data| {
        data.try_open().unwrap();
        data
    };
    let marked = |data: Data| {
        fs::create_dir_all(data.directory()).unwrap();
        fs::write(data.directory().join("enrolled-once"), "").unwrap();
        data
    };
    for (data, armed, why) in [
        (Data::new(), true, "nothing there"),
        (Data::with_clients(""), true, "an empty file"),
        (Data::with_clients("# clients go here\r\n\n"), true, "a file of words"),
        (opened(Data::new()), true, "started before, nobody came"),
        (Data::with_clients(a.to_pem()), false, "a client put there by an installer"),
        (enrolled(), false, "a first client"),
        (without_clients(enrolled()), false, "a first client, and the file deleted"),
        (without_clients(opened(Data::with_clients(a.to_pem()))), false, "an installer's client, deleted"),
        (marked(Data::new()), false, "the marker alone"),
        (marked(Data::with_clients("")), false, "the marker and an empty file"),
        (Data::with_clients(torn(&a)), false, "a torn block alone"),
        (Data::with_clients(garbled(&a)), false, "a garbled block alone"),
        (without_clients(opened(Data::with_clients(torn(&a)))), false, "a torn block, then deleted"),
    ] {
        for start in ["first", "second"] {
            let (store, _) = data.try_open().unwrap();
            assert_eq!(store.is_armed(), armed, "{why}, {start} start");
            let marker = data.directory().join("enrolled-once").exists();
            assert_eq!(marker, !armed, "{why}, {start} start: the marker");
        }
        // And the store keeps to what it says.
        let (store, _) = data.try_open().unwrap();
        let (client, channel) = (certificate("late"), local(0, 0, &[]));
        let enrolment = Arrival { certificate: &client, channel: &channel, at: now() };
        let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
        assert_eq!(outcome == Outcome::Changed, armed, "{why}");
        assert_eq!(store.contains(&client.fingerprint()), armed, "{why}");
        assert!(!store.is_armed(), "{why}");
    }
}

/// What is done to a store's directory under a running daemon.
type Interference = fn(&Data, &ClientCertificate);

#[test]
fn what_happened_on_disk_since_the_start_disarms() {
    let (a, late) = (certificate("a"), certificate("late"));
    let cases: [(&str, Interference, bool); 5] = [
        ("a client appended by hand", |data, a| fs::write(data.clients(), a.to_pem()).unwrap(), true),
        ("a torn block", |data, a| fs::write(data.clients(), torn(a)).unwrap(), false),
        ("the marker", |data, _| fs::write(data.directory().join("enrolled-once"), "").unwrap(), false),
        ("another daemon's first client", |data, a| enrol(&data.open(), &Condition::FirstClient, a), true),
        (
            "another daemon's first client, deleted",
            |data, a| {
                enrol(&data.open(), &Condition::FirstClient, a);
                fs::remove_file(data.clients()).unwrap();
            },
            false,
        ),
    ];
    for (why, interfere, a_is_trusted) in cases {
        let data = Data::new();
        let store = data.open();
        assert!(store.is_armed());
        interfere(&data, &a);
        let before = contents(&data);

        let enrolment = Arrival { certificate: &late, channel: &local(0, 0, &[]), at: now() };
        let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
        assert_eq!(outcome, Outcome::ConditionFailed, "{why}");
        assert_eq!(contents(&data), before, "{why}");
        // It has seen what is there now.
        assert!(!store.is_armed(), "{why}");
        assert_eq!(store.contains(&a.fingerprint()), a_is_trusted, "{why}");
        assert!(!store.contains(&late.fingerprint()), "{why}");
    }
}

#[test]
fn a_passphrase_changed_by_another_daemon_is_learned() {
    let (data, client) = (Data::new(), certificate("a"));
    let (one, other) = (data.open(), data.open());
    let old = by_passphrase(&one);
    let new = PassphraseHash::of(&passphrase("new words")).unwrap();
    other.set_passphrase(Some(new.clone())).unwrap();

    let enrolment = Arrival { certificate: &client, channel: &local(0, 0, &[]), at: now() };
    assert_eq!(one.enrol_if(&old, &enrolment).unwrap(), Outcome::ConditionFailed);
    assert!(one.passphrase() == Some(new.clone()));
    assert!(one.is_armed(), "a wrong passphrase does not disarm");
    assert_eq!(one.enrol_if(&Condition::PassphraseIs(new), &enrolment).unwrap(), Outcome::Changed);
}

#[test]
fn the_marker_is_renamed_by_the_first_enrolment() {
    let data = Data::new();
    let store = data.open();
    assert_eq!(data.names(), ["first-client-awaited"]);
    let awaited = contents(&data)["first-client-awaited"].clone();
    enrol(&store, &Condition::FirstClient, &certificate("a"));
    assert_eq!(data.names(), ["enrolled-once", "multipass_client_certs.pem"]);
    assert_eq!(contents(&data)["enrolled-once"], awaited, "renamed, which a full disk does not hinder");

    // A store that is found with clients is marked too.
    let data = Data::with_clients(certificate("a").to_pem());
    data.open();
    assert_eq!(data.names(), ["enrolled-once", "multipass_client_certs.pem"]);
}

#[test]
fn a_client_who_comes_by_passphrase_disarms_too() {
    let data = Data::new();
    let store = data.open();
    enrol(&store, &by_passphrase(&store), &certificate("a"));
    assert!(!store.is_armed());
    assert!(data.names().contains(&"enrolled-once".to_owned()));
}

/// As when the disk that holds it is not mounted. What has the marker's name is one, wherever it leads.
#[cfg(unix)]
#[test]
fn a_marker_that_leads_nowhere_disarms() {
    let client = certificate("a");
    let link = |data: &Data| {
        fs::create_dir_all(data.directory()).unwrap();
        let marker = data.directory().join("enrolled-once");
        std::os::unix::fs::symlink(data.path().join("unmounted"), &marker).unwrap();
    };
    // Before the first start, while the first client is awaited, and under a daemon that awaits it.
    for (moment, starts) in [("before the first start", 0), ("before the second start", 1)] {
        let data = Data::new();
        (0..starts).for_each(|_| assert!(data.open().is_armed()));
        link(&data);
        for _ in 0..2 {
            let store = data.open();
            assert!(!store.is_armed(), "{moment}");
            let enrolment = Arrival { certificate: &client, channel: &local(0, 0, &[]), at: now() };
            let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
            assert_eq!(outcome, Outcome::ConditionFailed, "{moment}");
        }
        assert!(!data.path().join("unmounted").exists(), "{moment}: it was followed");
    }
    let data = Data::new();
    let store = data.open();
    link(&data);
    let enrolment = Arrival { certificate: &client, channel: &local(0, 0, &[]), at: now() };
    let outcome = store.enrol_if(&Condition::FirstClient, &enrolment).unwrap();
    assert_eq!(outcome, Outcome::ConditionFailed, "under a running daemon");
    assert!(!store.is_armed() && !store.contains(&client.fingerprint()));
    // The owner of the files can await the first client all the same.
    assert_eq!(store.make(&auth_core::Change::AwaitFirst).unwrap(), Outcome::Changed);
    assert!(data.open().is_armed());
}

/// How a file of the store is spoilt; gives the path that the error must name.
type Spoil = fn(&Data) -> PathBuf;

#[test]
fn what_cannot_be_read_is_an_error_and_never_empty() {
    fn read(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::Read { path: named, .. } if named == path)
    }
    fn write(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::Write { path: named, .. } if named == path)
    }
    fn too_large(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::Read { path: named, source }
            if named == path && source.to_string() == "it has more than 268435456 bytes")
    }
    fn not_a_hash(error: &StoreError, path: &PathBuf) -> bool {
        matches!(error, StoreError::NotAPassphraseHash { path: named } if named == path)
    }
    type Check = fn(&StoreError, &PathBuf) -> bool;
    let cases: [(&str, Spoil, Check); 9] = [
        ("a directory for the trust file", |data| directory(data.clients()), read),
        ("a directory for the passphrase", |data| directory(data.passphrase()), read),
        (
            "a file for the directory",
            |data| {
                fs::write(data.directory(), "").unwrap();
                data.directory()
            },
            write,
        ),
        ("a trust file beyond all measure", |data| resized(file(data.clients(), ""), 268_435_457), too_large),
        // Read, because it is not larger than that, and then found to be no hash.
        (
            "a passphrase file just within measure",
            |data| resized(file(data.passphrase(), ""), 268_435_456),
            not_a_hash,
        ),
        ("words for a passphrase hash", |data| file(data.passphrase(), "open sesame\n"), not_a_hash),
        ("bytes for a passphrase hash", |data| file(data.passphrase(), [0xff, 0xfe]), not_a_hash),
        ("a directory for the lock", |data| directory(data.path().join("lock")), write),
        (
            "no data directory",
            |data| {
                fs::remove_dir(data.path()).unwrap();
                data.directory()
            },
            write,
        ),
    ];
    for (why, spoil, is_expected) in cases {
        let data = Data::new();
        let path = spoil(&data);
        for attempt in ["first", "second"] {
            let error = data.try_open().map(|_| ()).unwrap_err();
            assert!(is_expected(&error, &path), "{why}, {attempt} attempt: {error:?}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{why}: {error}");
        }
    }
}

fn directory(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).unwrap();
    path
}

fn file(path: PathBuf, bytes: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn resized(path: PathBuf, bytes: u64) -> PathBuf {
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes).unwrap();
    path
}

/// As when the disk that holds the file is not mounted.
#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_error_and_not_an_absent_file() {
    for file in ["multipass_client_certs.pem", "revoked", "passphrase.phc"] {
        let data = Data::with_clients("");
        let path = data.directory().join(file);
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(data.path().join("unmounted").join(file), &path).unwrap();
        let error = data.try_open().map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, StoreError::Read { path: named, .. } if *named == path),
            "{file}: {error:?}"
        );
        assert!(!data.names().contains(&"first-client-awaited".to_owned()), "{file}");

        // One that leads somewhere is followed.
        fs::create_dir(data.path().join("unmounted")).unwrap();
        fs::write(data.path().join("unmounted").join(file), "").unwrap();
        assert!(data.open().is_armed(), "{file}");
    }
}

#[test]
fn what_cannot_be_read_later_changes_nothing() {
    let [a, b] = ["a", "b"].map(certificate);
    let data = Data::with_clients(a.to_pem());
    let store = data.open();
    let condition = by_passphrase(&store);
    let enrolment = Arrival { certificate: &b, channel: &local(0, 0, &[]), at: now() };

    for path in [data.clients(), data.passphrase()] {
        let aside = data.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        let error = store.enrol_if(&condition, &enrolment).unwrap_err();
        assert!(matches!(&error, StoreError::Read { path: named, .. } if *named == path), "{error:?}");
        assert!(store.contains(&a.fingerprint()) && !store.contains(&b.fingerprint()), "{path:?}");
        assert!(store.passphrase().unwrap().matches(&passphrase("open sesame")), "{path:?}");
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(store.enrol_if(&condition, &enrolment).unwrap(), Outcome::Changed);
    assert!(store.contains(&b.fingerprint()) && data.open().contains(&b.fingerprint()));
}

#[test]
fn a_passphrase_that_cannot_be_written_leaves_the_old_one() {
    let data = Data::new();
    let store = data.open();
    by_passphrase(&store);
    let aside = data.path().join("aside");
    fs::rename(data.passphrase(), &aside).unwrap();
    fs::create_dir(data.passphrase()).unwrap();
    for new in [None, Some(PassphraseHash::of(&passphrase("new words")).unwrap())] {
        let error = store.set_passphrase(new).unwrap_err();
        assert!(matches!(&error, StoreError::Read { path, .. } if *path == data.passphrase()), "{error:?}");
        assert!(store.passphrase().unwrap().matches(&passphrase("open sesame")));
    }
    fs::remove_dir(data.passphrase()).unwrap();
    fs::rename(&aside, data.passphrase()).unwrap();
    assert!(data.open().passphrase().unwrap().matches(&passphrase("open sesame")));
    store.set_passphrase(None).unwrap();
    assert!(data.open().passphrase().is_none());
}

/// A disk that takes files of up to so many bytes, until it is dropped. Root is not above this limit.
#[cfg(target_os = "linux")]
struct FullDisk(u64);

#[cfg(target_os = "linux")]
impl FullDisk {
    /// Belongs to the whole process, so it is only for a test that has one of its own.
    fn beyond(bytes: u64) -> Self {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        use nix::sys::signal::{SigSet, Signal};

        // The write then fails with EFBIG, instead of the process being killed.
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGXFSZ);
        signals.thread_block().unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
        Self(hard)
    }
}

#[cfg(target_os = "linux")]
impl Drop for FullDisk {
    fn drop(&mut self) {
        use nix::sys::resource::{Resource, setrlimit};

        setrlimit(Resource::RLIMIT_FSIZE, self.0, self.0).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    alone(concat!(module_path!(), "::a_full_disk_loses_nothing"), || {
        let [a, b] = ["a", "b"].map(certificate);
        let channel = local(0, 0, &[]);
        let enrolment = |certificate| Arrival { certificate, channel: &channel, at: now() };
        let is_write = |error: &StoreError| matches!(error, StoreError::Write { .. });
        let new = PassphraseHash::of(&passphrase("new words")).unwrap();

        // The first client, who comes again when there is room.
        let data = Data::new();
        let store = data.open();
        let before = contents(&data);
        let full = FullDisk::beyond(0);
        assert!(is_write(&store.enrol_if(&Condition::FirstClient, &enrolment(&a)).unwrap_err()));
        drop(full);
        assert_eq!(contents(&data), before);
        assert!(store.is_armed() && store.is_empty() && !store.contains(&a.fingerprint()));
        enrol(&store, &Condition::FirstClient, &a);

        // The second one, and a new passphrase; a daemon can be started all the same.
        let condition = by_passphrase(&store);
        let before = contents(&data);
        let full = FullDisk::beyond(100);
        assert!(is_write(&store.enrol_if(&condition, &enrolment(&b)).unwrap_err()));
        drop(full);
        let full = FullDisk::beyond(20);
        assert!(is_write(&store.set_passphrase(Some(new.clone())).unwrap_err()));
        assert!(data.open().contains(&a.fingerprint()));
        drop(full);
        assert_eq!(contents(&data), before);
        for store in [&store, &data.open()] {
            assert!(store.contains(&a.fingerprint()) && !store.contains(&b.fingerprint()));
            assert!(store.passphrase().unwrap().matches(&passphrase("open sesame")));
        }
        store.set_passphrase(Some(new.clone())).unwrap();
        enrol(&store, &Condition::PassphraseIs(new), &b);
        assert!(data.open().contains(&b.fingerprint()));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_while_damage_is_set_aside_arms_nothing() {
    alone(concat!(module_path!(), "::a_disk_that_fills_up_while_damage_is_set_aside_arms_nothing"), || {
        let damaged = "-----BEGIN CERTIFICATE-----\nMIIB";
        let whole = format!("# one\n{damaged}");
        // Room for nothing; for what is moved, but not for the marker.
        for room in [0, 10, damaged.len() as u64, whole.len() as u64 + 10] {
            let data = Data::with_clients(&whole);
            let full = FullDisk::beyond(room);
            let error = data.try_open().map(|_| ()).unwrap_err();
            assert!(matches!(error, StoreError::Write { .. }), "room for {room}: {error:?}");
            drop(full);
            for start in ["first", "second"] {
                let (store, _) = data.try_open().unwrap();
                assert!(store.is_empty() && !store.is_armed(), "room for {room}, {start} start");
                assert_eq!(data.text(), b"# one\n");
                assert_eq!(data.set_aside(), [damaged.as_bytes()], "room for {room}, {start} start");
            }
        }
    });
}

#[cfg(unix)]
#[test]
fn all_files_are_the_owners_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    use nix::sys::stat::{Mode, umask};

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    alone(concat!(module_path!(), "::all_files_are_the_owners_alone_whatever_the_umask"), || {
        let [a, b] = ["a", "b"].map(certificate);
        for mask in [0o000, 0o022, 0o077] {
            umask(Mode::from_bits_truncate(mask));
            let data = Data::new();
            let check = |expected: &[&str]| {
                assert_eq!(mode(data.directory()), 0o700, "umask {mask:03o}");
                assert_eq!(mode(data.path().join("lock")), 0o600, "umask {mask:03o}, the lock");
                assert_eq!(data.names(), expected);
                for name in expected {
                    assert_eq!(mode(data.directory().join(name)), 0o600, "umask {mask:03o}, {name}");
                }
            };
            let store = data.open();
            check(&["first-client-awaited"]);
            enrol(&store, &Condition::FirstClient, &a);
            by_passphrase(&store);
            check(&["enrolled-once", "multipass_client_certs.pem", "passphrase.phc"]);

            // A directory that a person made is the owner's alone from the first start on.
            let by_hand = Data::with_clients(a.to_pem());
            by_hand.open();
            assert_eq!(mode(by_hand.directory()), 0o700, "umask {mask:03o}, made by hand");

            // A file that a person wrote is the owner's alone once the store has written to it.
            fs::remove_file(data.clients()).unwrap();
            fs::write(data.clients(), format!("{}{}", a.to_pem(), torn(&b))).unwrap();
            fs::set_permissions(data.clients(), fs::Permissions::from_mode(0o666)).unwrap();
            let later = now() + Duration::from_nanos(1);
            data.try_open_at(later).unwrap();
            check(&[
                "enrolled-once",
                "multipass_client_certs.pem",
                "multipass_client_certs.pem.damaged-1700000000000000001",
                "passphrase.phc",
            ]);
        }
    });
}

/// Linux tells who waits for a lock, so that this test need not guess how long to look.
#[cfg(target_os = "linux")]
#[test]
fn changes_wait_for_whoever_holds_the_lock_and_readers_do_not() {
    use std::os::unix::fs::MetadataExt;

    let data = Data::new();
    let store = data.open();
    let inode = format!(":{} ", fs::metadata(data.path().join("lock")).unwrap().ino());
    let somebody_waits = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.contains(&inode))
    };

    std::thread::scope(|scope| {
        let lock = fs::File::open(data.path().join("lock")).unwrap();
        lock.try_lock().expect("nobody holds it between changes");
        let change = scope.spawn(|| enrol(&store, &Condition::FirstClient, &certificate("a")));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !somebody_waits() {
            assert!(!change.is_finished() && Instant::now() < deadline, "the change did not wait");
            std::thread::yield_now();
        }
        assert!(store.is_armed() && store.is_empty() && store.passphrase().is_none());
        assert_eq!(data.names(), ["first-client-awaited"]);
        drop(lock);
    });
    assert!(!store.is_armed() && data.clients().exists());
}

/// Somebody makes the data directory before root first starts the daemon, and puts himself on the list.
#[cfg(unix)]
#[test]
fn a_store_that_another_user_prepared_is_not_opened() {
    use std::fs::Permissions;
    use std::io::ErrorKind;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    /// Debian's `nobody`; any other does.
    const NOBODY: u32 = 65534;

    if !is_root("file_store: a store that another user prepared") {
        return;
    }
    let access = |path: &Path| {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode())
    };
    let data = Data::with_clients("# trust me\n");
    for path in [data.directory(), data.clients()] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(data.directory(), Permissions::from_mode(0o755)).unwrap();
    for (whose, directory) in [("the store's directory", NOBODY), ("the data directory", 0)] {
        chown(data.directory(), Some(directory), None).unwrap();
        chown(data.path(), Some(NOBODY - directory), None).unwrap();
        let before = (access(&data.directory()), data.names());
        let error = data.try_open().map(drop).unwrap_err();
        let StoreError::Write { path, source } = error else { panic!("{whose}: {error:?}") };
        assert_eq!((path, source.kind()), (data.directory(), ErrorKind::PermissionDenied), "{whose}");
        assert!(source.to_string().contains("belongs to user 65534"), "{whose}: {source}");
        assert_eq!((access(&data.directory()), data.names()), before, "{whose}");
        assert!(!data.path().join("lock").exists(), "{whose}");
    }
    // It was that, and nothing else.
    chown(data.path(), Some(0), None).unwrap();
    data.open();
}
