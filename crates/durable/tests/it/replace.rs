//! Files that are replaced whole, or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use durable::{Readers, rename, replace};

use test_process::alone;

use crate::support::names;

#[test]
fn a_file_is_created_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    for bytes in [b"first".as_slice(), b"second, longer", b"", b"3"] {
        replace(&file, bytes, Readers::Owner).unwrap();
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(names(directory.path()), ["file"], "nothing else is left");
    }
}

#[test]
fn what_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("in-the-way");
    fs::create_dir(&in_the_way).unwrap();
    replace(&in_the_way, b"new", Readers::Owner).unwrap_err();
    assert_eq!(names(directory.path()), ["in-the-way"], "no temporary file is left");

    let nowhere = directory.path().join("no-such-directory").join("file");
    assert_eq!(replace(&nowhere, b"new", Readers::Owner).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(replace(Path::new("/"), b"new", Readers::Owner).unwrap_err().kind(), ErrorKind::InvalidInput);
    let to = directory.path().join("to");
    assert_eq!(rename(&nowhere, &to).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!to.exists());
}

#[test]
fn a_file_is_renamed_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::write(&from, "new").unwrap();
    fs::write(&to, "old").unwrap();
    rename(&from, &to).unwrap();
    assert_eq!(names(directory.path()), ["to"]);
    assert_eq!(fs::read(&to).unwrap(), b"new");
}

#[test]
fn a_bare_name_is_one_in_the_working_directory() {
    alone(concat!(module_path!(), "::a_bare_name_is_one_in_the_working_directory"), || {
        let directory = tempfile::tempdir().unwrap();
        std::env::set_current_dir(directory.path()).unwrap();
        replace(Path::new("file"), b"bytes", Readers::Owner).unwrap();
        rename(Path::new("file"), Path::new("renamed")).unwrap();
        assert_eq!(fs::read("renamed").unwrap(), b"bytes");
    });
}

#[cfg(unix)]
#[test]
fn its_readers_are_those_named_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    use nix::sys::stat::{Mode, umask};

    alone(concat!(module_path!(), "::its_readers_are_those_named_whatever_the_umask"), || {
        for mask in [0o000, 0o022, 0o077] {
            umask(Mode::from_bits_truncate(mask));
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("file");
            for (readers, mode) in
                [(Readers::Owner, 0o600), (Readers::Everyone, 0o644), (Readers::Owner, 0o600)]
            {
                replace(&file, b"bytes", readers).unwrap();
                let found = fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
                assert_eq!(found, mode, "umask {mask:o}, {readers:?}: {found:o}");
            }
        }
    });
}
