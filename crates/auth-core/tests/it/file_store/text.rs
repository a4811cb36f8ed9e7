//! What the store makes of the certificates that others wrote.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use auth_core::{CertificateError, ClientCertificate, Condition, Outcome, TrustStore};
use proptest::prelude::*;

use super::{garbled, torn};
use crate::support::{Arrival, Data, Unrecorded, by_passphrase, certificate, der, enrol, local, now, remote};

/// X.509 v1, as clients before 2023 made them (`openssl x509 -req` without extensions).
const V1: &[u8] = include_bytes!("../data/x509_v1.pem");
/// Of that certificate, by `openssl x509 -fingerprint -sha256`.
const V1_FINGERPRINT: &str = "c17535b985be917f21676f7c880f1a0c08bf0b9376106a8b87f9545d1843738a";

/// What the store writes ahead of a client that root enrolled by passphrase.
const COMMENT: &str = "# multipass-client: added=2023-11-14T22:13:20Z how=passphrase from=uid:0\n";

fn crlf(certificate: &ClientCertificate) -> String {
    certificate.to_pem().replace('\n', "\r\n")
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
