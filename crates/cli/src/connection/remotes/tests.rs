//! The file of remotes: what is read, changed and refused.

use std::fs;
use std::path::Path;
use std::thread;

use super::remote::MAX_NAME_LENGTH;
use super::*;
use crate::files;

const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

struct Fixture {
    home: tempfile::TempDir,
    remotes: Remotes,
}

/// A file with that text, or none yet.
fn file(text: Option<&str>) -> Fixture {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("share/ours");
    if let Some(text) = text {
        files::create_directory(&directory).expect("made");
        files::replace(&directory, SPEC.file, text.as_bytes()).expect("written");
    }
    Fixture { remotes: remotes_in(&directory), home }
}

pub(super) fn remotes_in(directory: &Path) -> Remotes {
    Remotes { file: ListFile::in_directory(directory.to_owned(), SPEC) }
}

pub(super) fn name(text: &str) -> RemoteName {
    text.parse().expect(text)
}

pub(super) fn remote(name: &str, address: &str, fingerprint: &str) -> Remote {
    let fingerprint = (!fingerprint.is_empty()).then(|| fingerprint.parse().expect("a fingerprint"));
    Remote { name: self::name(name), endpoint: address.parse().expect(address), fingerprint }
}

impl Fixture {
    fn text(&self) -> String {
        fs::read_to_string(self.remotes.file()).expect("a file")
    }
}

#[test]
fn names_are_told_from_addresses() {
    for text in ["a", "work", "Work", "host.example", "a-b_c.1", "locals", &"x".repeat(MAX_NAME_LENGTH)] {
        assert_eq!(name(text).to_string(), text);
    }
    for text in ["a:1", "unix:/run/socket", "10.0.0.1", "::1", "[::1]:5", "/run/socket"] {
        assert_eq!(text.parse::<RemoteName>(), Err(InvalidRemoteName::Address), "{text}");
    }
    let long = "x".repeat(MAX_NAME_LENGTH + 1);
    for text in ["", "-a", ".a", "_a", "1a", "50051", "a b", "\u{e4}", "a\n", "a*", "Local", "LOCAL", &long] {
        assert_eq!(text.parse::<RemoteName>(), Err(InvalidRemoteName::Other), "{text:?}");
    }
    assert!(name("local").is_local() && !name("locals").is_local());
}

#[test]
fn looking_creates_nothing() {
    let fixture = file(None);
    let list = fixture.remotes.read().expect("none");
    assert_eq!(list, RemoteList::default());
    assert!(list.default_name().is_local());
    assert_eq!(list.find(&RemoteName::local()).expect("local"), Remote::local());
    fixture.remotes.set_default(&RemoteName::local()).expect("it is");
    assert!(fs::read_dir(fixture.home.path()).expect("a home").next().is_none());
}

#[test]
fn what_is_added_is_read_and_the_rest_stays() {
    let fixture = file(None);
    let remotes = &fixture.remotes;
    let all = [
        remote("work", "server.example:50051", ONE),
        remote("lab", "quic:[2001:db8::1]:5", TWO),
        remote("own", "unix:/run/user/1000/my socket", ""),
        remote("tunnel", "localhost:50051", ONE),
    ];
    for remote in &all {
        remotes.add(remote, OnConflict::Refuse).expect("written");
    }
    let lines = format!(
        "work {ONE} server.example:50051\nlab {TWO} quic:[2001:db8::1]:5\nown - unix:/run/user/1000/my socket\n\
             tunnel {ONE} localhost:50051\n"
    );
    assert_eq!(fixture.text(), format!("{}{lines}", SPEC.header));
    assert_eq!(remotes.read().expect("read").remotes, all);

    remotes.set_default(&name("lab")).expect("written");
    assert_eq!(fixture.text(), format!("{}default: lab\n{lines}", SPEC.header));
    remotes.set_default(&name("own")).expect("written");
    remotes.set_default(&name("own")).expect("the same");
    assert_eq!(fixture.text(), format!("{}default: own\n{lines}", SPEC.header));
    assert_eq!(remotes.read().expect("read").default_name(), name("own"));

    assert!(!remotes.remove(&name("work")).expect("removed"));
    assert!(remotes.remove(&name("own")).expect("removed"));
    assert_eq!(
        fixture.text(),
        format!("{}lab {TWO} quic:[2001:db8::1]:5\ntunnel {ONE} localhost:50051\n", SPEC.header)
    );
    remotes.set_default(&name("lab")).expect("written");
    remotes.set_default(&RemoteName::local()).expect("written");
    assert!(remotes.read().expect("read").default_name().is_local() && !fixture.text().contains(DEFAULT));
}

#[test]
fn what_is_there_is_replaced_on_purpose_alone() {
    let text = format!("# mine\n\ndefault:  work \n  work {ONE} a.example:1 \r\n# c:3 is gone\n");
    let fixture = file(Some(&text));
    let new = remote("work", "b.example:1", TWO);
    let fault = fixture.remotes.add(&new, OnConflict::Refuse).expect_err("there");
    assert!(matches!(fault, RemotesError::Exists(_)) && fault.next_step().contains("--replace"), "{fault}");
    assert_eq!(fixture.text(), text);
    fixture.remotes.add(&new, OnConflict::Replace).expect("written");
    assert_eq!(fixture.text(), format!("# mine\n\ndefault:  work \nwork {TWO} b.example:1\n# c:3 is gone\n"));
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let text = format!("work {ONE} a.example:1\n");
    let fixture = file(Some(&text));
    let remotes = &fixture.remotes;
    for (fault, part) in [
        (remotes.remove(&name("nosuch")).map(drop), "no remote 'nosuch'"),
        (remotes.set_default(&name("nosuch")), "no remote 'nosuch'"),
        (remotes.remove(&RemoteName::local()).map(drop), "built in"),
        (remotes.add(&remote("local", "localhost:1", ""), OnConflict::Replace), "built in"),
        (remotes.add(&remote("a", "unix:/a ", ""), OnConflict::Refuse), "cannot be kept"),
        (remotes.add(&remote("a", "elsewhere:1", ""), OnConflict::Refuse), "cannot be kept"),
    ] {
        let fault = fault.expect_err(part);
        assert!(fault.to_string().contains(part) && !fault.next_step().is_empty(), "{fault}");
    }
    assert_eq!(fixture.text(), text);
}

#[test]
fn what_is_not_understood_is_named_and_stays() {
    let good = format!("work {ONE} a.example:1\n");
    for (damage, line, what) in [
        ("b", 2, "no name, fingerprint and address"),
        ("b b.example:1", 2, "no name, fingerprint and address"),
        (&format!("b:1 {ONE} b.example:1"), 2, "no name of a remote"),
        (&format!("local {ONE} b.example:1"), 2, "built in"),
        (&format!("b {} b.example:1", &ONE[1..]), 2, "no fingerprint"),
        (&format!("b  {ONE} b.example:1"), 2, "no fingerprint"),
        (&format!("b {ONE} b.example"), 2, "no address"),
        (&format!("b {ONE} http://b.example:1"), 2, "no address"),
        ("b - b.example:1", 2, "another machine"),
        (&format!("\nwork {ONE} a.example:1"), 3, "the same name"),
        ("default: b", 2, "that does not exist"),
        ("default:", 2, "names no remote"),
        ("default: work\ndefault: work", 3, "a second time"),
        ("\u{feff}default: work", 2, "no name"),
    ] {
        let fixture = file(Some(&format!("{good}{damage}\n")));
        let before = fixture.text();
        let remotes = &fixture.remotes;
        for fault in [
            remotes.read().map(drop),
            remotes.add(&remote("c", "c.example:1", TWO), OnConflict::Replace),
            remotes.remove(&name("work")).map(drop),
            remotes.set_default(&name("work")),
        ] {
            let fault = fault.expect_err(damage);
            let text = fault.to_string();
            assert!(text.contains(&format!("line {line} of")) && text.contains(what), "{damage}: {text}");
            assert!(text.contains(&remotes.file().display().to_string()), "{text}");
            assert!(fault.next_step().contains("--remote local"), "{}", fault.next_step());
        }
        assert_eq!(fixture.text(), before);
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owner_s() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = file(None);
    let work = remote("work", "a.example:1", ONE);
    fixture.remotes.add(&work, OnConflict::Refuse).expect("written");
    let file = fixture.remotes.file();
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o7777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("set");
    for fault in [
        fixture.remotes.read().map(drop),
        fixture.remotes.add(&work, OnConflict::Replace),
        fixture.remotes.remove(&work.name).map(drop),
    ] {
        let fault = fault.expect_err("open to others");
        assert!(matches!(fault, RemotesError::List(ListError::OpenToOthers { .. })), "{fault}");
    }
}

#[test]
fn a_list_never_grows_too_long_to_be_read() {
    let comment = format!("#{}\n", "x".repeat(usize::try_from(list::MAX_SIZE).expect("a size") - 2));
    let fixture = file(Some(&comment));
    let fault =
        fixture.remotes.add(&remote("work", "a.example:1", ONE), OnConflict::Refuse).expect_err("too long");
    assert!(matches!(fault, RemotesError::List(ListError::File(_))), "{fault}");
    assert_eq!(fixture.text(), comment);
}

#[test]
fn clients_that_add_at_once_lose_nothing() {
    let fixture = file(None);
    let remotes = &fixture.remotes;
    thread::scope(|scope| {
        for number in 1..=16 {
            scope.spawn(move || {
                let remote = remote(&format!("r{number}"), "a.example:1", ONE);
                remotes.add(&remote, OnConflict::Refuse).expect("written");
            });
        }
    });
    let mut found: Vec<_> =
        remotes.read().expect("read").remotes.iter().map(|remote| remote.name.to_string()).collect();
    found.sort();
    let mut all: Vec<_> = (1..=16).map(|number| format!("r{number}")).collect();
    all.sort();
    assert_eq!(found, all);
}
