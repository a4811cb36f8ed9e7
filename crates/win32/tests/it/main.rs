//! Who may use what was made. Under wine, which keeps what it is told of owner and everyone.
#![cfg(windows)]
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::path::Path;

use win32::access::{
    self, Access, IfExists, Operation, TrustPolicy, create_directory, look_at, open_file, restrict,
    untrusted_principal,
};

fn another(operation: Operation, path: &Path) -> Option<String> {
    let file = look_at(path).expect("looked at");
    untrusted_principal(operation, &file, TrustPolicy::WithCaller).expect("told").map(|another| another.name)
}

#[test]
fn what_is_made_is_for_whom_it_is_made() {
    let place = tempfile::tempdir().expect("a directory");
    for (access, others_use) in [(Access::User, false), (Access::Service, false), (Access::Readable, true)] {
        let directory = place.path().join(format!("{access:?}"));
        create_directory(&directory, access).expect("made");
        create_directory(&directory, access).expect_err("it is there");
        let file = directory.join("file");
        open_file(&file, access, IfExists::Fail).expect("made");
        for path in [&file, &directory] {
            assert_eq!(another(Operation::Use, path).is_some(), others_use, "{access:?} {path:?}");
            assert_eq!(another(Operation::Modify, path), None, "{access:?} {path:?}");
            assert_eq!(another(Operation::Redirect, path), None, "{access:?} {path:?}");
            assert_eq!(another(Operation::Replace, path), None, "{access:?} {path:?}");
        }
        open_file(&file, access, IfExists::Fail).expect_err("it is there");
        open_file(&file, access, IfExists::Open).expect("opened");
    }
}

#[test]
fn what_others_may_use_is_taken_from_them() {
    let place = tempfile::tempdir().expect("a directory");
    let (directory, file) = (place.path().join("directory"), place.path().join("file"));
    create_directory(&directory, Access::Readable).expect("made");
    fs::write(&file, "secret").expect("written");
    restrict(&File::open(&file).expect("opened"), Access::Readable).expect("opened up");
    for path in [&file, &directory] {
        assert!(another(Operation::Use, path).is_some(), "{path:?}");
        restrict(&look_at(path).expect("looked at"), Access::User).expect("closed");
        assert_eq!(another(Operation::Use, path), None, "{path:?}");
    }
    assert_eq!(fs::read(&file).expect("still its owner's"), b"secret");
}

#[test]
fn long_paths_are_paths() {
    let place = tempfile::tempdir().expect("a directory");
    let mut directory = place.path().to_owned();
    for _ in 0..8 {
        directory.push("x".repeat(40));
        create_directory(&directory, Access::User).expect("made");
    }
    let file = directory.join("file");
    open_file(&file, Access::User, IfExists::Fail).expect("made");
    assert!(file.is_file());
    access::look_at(&place.path().join("nothing")).expect_err("it is not there");
}
