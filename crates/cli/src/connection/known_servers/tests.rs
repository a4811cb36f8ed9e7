//! The list of known servers: what is read, remembered and refused.

use std::fs;
use std::path::Path;
use std::thread;

use super::*;
use crate::files::{self, FileError};

const FILE: &str = SPEC.file;
const HEADER: &str = SPEC.header;

const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn fingerprint(text: &str) -> RootFingerprint {
    text.parse().expect(text)
}

fn at(address: &str) -> Endpoint {
    address.parse().expect(address)
}

struct Fixture {
    _home: tempfile::TempDir,
    directory: PathBuf,
    known: KnownServers,
}

fn known_in(directory: &Path) -> KnownServers {
    KnownServers { list: ListFile::in_directory(directory.to_owned(), SPEC) }
}

/// A list with that text, or none yet.
fn list(text: Option<&str>) -> Fixture {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("share/ours");
    let known = known_in(&directory);
    if let Some(text) = text {
        files::create_directory(&directory).expect("made");
        files::replace(&directory, FILE, text.as_bytes()).expect("written");
    }
    Fixture { _home: home, directory, known }
}

impl Fixture {
    fn find(&self, address: &str) -> Option<(String, usize)> {
        let known = self.known.find(&at(address)).expect(address)?;
        Some((known.fingerprint.to_string(), known.line))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.known.file()).expect("a list")
    }
}

#[test]
fn looking_creates_nothing() {
    let fixture = list(None);
    assert_eq!(fixture.find("a.example:1"), None);
    assert!(!fixture.directory.exists());
}

#[test]
fn what_is_remembered_is_found_and_the_rest_stays() {
    let fixture = list(None);
    for (address, fingerprint) in [("a.example:1", ONE), ("quic:a.example:1", TWO), ("[2001:DB8::1]:5", TWO)]
    {
        fixture
            .known
            .remember(&at(address), self::fingerprint(fingerprint), OnConflict::Replace)
            .expect("written");
    }
    assert_eq!(
        fixture.text(),
        format!("{HEADER}a.example:1 {ONE}\nquic:a.example:1 {TWO}\n[2001:db8::1]:5 {TWO}\n")
    );
    assert_eq!(fixture.find("a.example:1"), Some((ONE.to_owned(), 3)));
    assert_eq!(fixture.find("tcp://A.Example:1"), Some((ONE.to_owned(), 3)));
    assert_eq!(fixture.find("quic:a.example:1"), Some((TWO.to_owned(), 4)));
    assert_eq!(fixture.find("[2001:db8:0::1]:5"), Some((TWO.to_owned(), 5)));
    for other in ["a.example:2", "b.a.example:1", "example:1", "quic:[2001:db8::1]:5"] {
        assert_eq!(fixture.find(other), None, "{other}");
    }

    let text = format!("# mine\n\n  tcp:b:2\t SHA256:{ONE} \r\n\n #c:3 is gone\n");
    let fixture = list(Some(&text));
    assert_eq!(fixture.find("b:2"), Some((ONE.to_owned(), 3)));
    assert_eq!(fixture.find("c:3"), None);
    fixture.known.remember(&at("B:2"), self::fingerprint(TWO), OnConflict::Replace).expect("written");
    assert_eq!(fixture.text(), format!("# mine\n\nb:2 {TWO}\n\n #c:3 is gone\n"));
    // Without a last newline.
    let fixture = list(Some(&format!("b:2 {ONE}")));
    fixture.known.remember(&at("c:3"), self::fingerprint(TWO), OnConflict::Replace).expect("written");
    assert_eq!(fixture.text(), format!("b:2 {ONE}\nc:3 {TWO}\n"));
}

#[test]
fn what_became_known_while_the_user_was_asked_stays() {
    let fixture = list(Some(&format!("b:2 {ONE}\n")));
    let remember = |fingerprint: &str| {
        fixture.known.remember(&at("b:2"), self::fingerprint(fingerprint), OnConflict::Refuse)
    };
    assert!(!remember(ONE).expect("the same"));
    let fault = remember(TWO).expect_err("another one");
    assert!(matches!(fault, KnownServersError::Contradicted { line: 1, .. }), "{fault:?}");
    assert_eq!(fixture.text(), format!("b:2 {ONE}\n"));
}

#[test]
fn what_is_not_understood_is_named_and_stays() {
    let good = format!("good:1 {ONE}\n");
    for (damage, line, what) in [
        ("b:2", 2, "no address and fingerprint"),
        (&format!("b:2{ONE}"), 2, "no address and fingerprint"),
        (&format!("b {ONE}"), 2, "no address"),
        (&format!("http://b:2 {ONE}"), 2, "no address"),
        (&format!("{ONE} b:2"), 2, "no address"),
        (&format!("b:2 {}", &ONE[1..]), 2, "no fingerprint"),
        (&format!("b:2 {ONE} # office"), 2, "no fingerprint"),
        (&format!("\nGOOD:1 {ONE}"), 3, "the same server"),
        (&format!("\n\ngood:1 {TWO}"), 4, "the same server"),
        (&format!("\u{feff}b:2 {ONE}"), 2, "no address"),
    ] {
        let fixture = list(Some(&format!("{good}{damage}\n")));
        let before = fixture.text();
        for fault in [
            fixture.known.find(&at("good:1")).expect_err(damage),
            fixture.known.remember(&at("good:1"), fingerprint(TWO), OnConflict::Replace).expect_err(damage),
        ] {
            let text = fault.to_string();
            assert!(text.contains(&format!("line {line} of")) && text.contains(what), "{damage}: {text}");
            assert!(text.contains(FILE), "{text}");
        }
        assert_eq!(fixture.text(), before);
    }
}

#[test]
fn what_is_no_text_or_too_long_is_not_read() {
    let fixture = list(Some(""));
    fs::write(fixture.known.file(), b"b:2 \xff").expect("written");
    assert!(matches!(
        fixture.known.find(&at("b:2")),
        Err(KnownServersError::List(ListError::File(FileError::Io { step: "read", .. })))
    ));
    let comment = format!("#{}\n", "x".repeat(usize::try_from(list::MAX_SIZE).expect("a size") - 2));
    fs::write(fixture.known.file(), &comment).expect("written");
    assert_eq!(fixture.find("b:2"), None);
    fs::write(fixture.known.file(), format!("{comment}\n")).expect("written");
    assert!(matches!(
        fixture.known.find(&at("b:2")),
        Err(KnownServersError::List(ListError::File(FileError::Io { step: "read", .. })))
    ));
}

#[cfg(unix)]
#[test]
fn the_list_is_its_owner_s() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let fixture = list(None);
    fixture.known.remember(&at("b:2"), fingerprint(ONE), OnConflict::Replace).expect("written");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o7777;
    assert_eq!(mode(&fixture.directory), 0o700);
    for name in [FILE, ".known_servers.lock"] {
        assert_eq!(mode(&fixture.directory.join(name)), 0o600, "{name}");
    }
    assert_eq!(fs::read_dir(&fixture.directory).expect("readable").count(), 2, "nothing is left over");

    let file = fixture.known.file();
    for (mode, good) in [(0o600, true), (0o644, true), (0o400, true), (0o620, false), (0o602, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        let found = fixture.known.find(&at("b:2"));
        assert_eq!(found.is_ok(), good, "{mode:o}");
        if let Err(fault) = found {
            assert!(matches!(fault, KnownServersError::List(ListError::OpenToOthers { .. })), "{fault}");
            assert!(fault.next_step().contains("chmod 600"), "{}", fault.next_step());
            assert!(
                fixture.known.remember(&at("b:2"), fingerprint(TWO), OnConflict::Replace).is_err(),
                "{mode:o}"
            );
        }
    }
    if crate::platform::is_root() {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        chown(&file, Some(65534), None).expect("given");
        assert!(matches!(
            fixture.known.find(&at("b:2")),
            Err(KnownServersError::List(ListError::OpenToOthers { .. }))
        ));
    }
}

#[test]
fn clients_that_remember_at_once_lose_nothing() {
    let fixture = list(None);
    let known = &fixture.known;
    thread::scope(|scope| {
        for port in 1..=16 {
            scope.spawn(move || {
                known
                    .remember(&at(&format!("b:{port}")), fingerprint(ONE), OnConflict::Refuse)
                    .expect("written")
            });
        }
    });
    for port in 1..=16 {
        assert!(fixture.find(&format!("b:{port}")).is_some(), "{port}");
    }
}

#[test]
fn a_list_that_cannot_be_written_is_as_it_was() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("file");
    fs::write(&file, "").expect("written");
    let known = known_in(&file.join("below"));
    let fault = known.remember(&at("b:2"), fingerprint(ONE), OnConflict::Refuse).expect_err("no directory");
    assert!(matches!(fault, KnownServersError::List(ListError::File(FileError::Io { .. }))), "{fault}");
    // A directory in the place of the list cannot be replaced.
    let fixture = list(None);
    fs::create_dir_all(fixture.known.file()).expect("made");
    let fault =
        fixture.known.remember(&at("b:2"), fingerprint(ONE), OnConflict::Replace).expect_err("no file");
    assert!(fault.to_string().contains(FILE), "{fault}");
}
