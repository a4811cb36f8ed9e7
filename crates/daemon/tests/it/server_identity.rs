//! The server's certificates: what is missing is made again, and the root key is never replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use daemon::server_identity::{ServerIdentityError, load_or_create};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Files {
    directory: TempDir,
}

impl Files {
    /// A data directory in which the daemon has started once.
    fn after_first_start() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(files.data()).unwrap();
        files.start(SystemTime::now()).unwrap();
        files
    }

    fn start(&self, now: SystemTime) -> Result<(), ServerIdentityError> {
        load_or_create(&self.data(), &self.published(), now).map(drop)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn published(&self) -> PathBuf {
        self.directory.path().join("etc/root.pem")
    }

    fn own(&self, name: &str) -> PathBuf {
        self.data().join("certificates").join(name)
    }

    /// All files' contents: root key, private copy, published root, server certificate and key.
    fn contents(&self) -> [String; 5] {
        [
            self.own("localhost_root_key.pem"),
            self.own("localhost_root.pem"),
            self.published(),
            self.own("localhost.pem"),
            self.own("localhost_key.pem"),
        ]
        .map(|path| fs::read_to_string(path).unwrap())
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn only_the_root_certificate_is_readable_by_others() {
    let files = Files::after_first_start();
    assert_eq!(mode(&files.published()), 0o644);
    assert_eq!(mode(files.published().parent().unwrap()) & 0o555, 0o555);
    assert_eq!(mode(&files.data().join("certificates")), 0o700);
    for name in ["localhost_root_key.pem", "localhost_root.pem", "localhost.pem", "localhost_key.pem"] {
        assert_eq!(mode(&files.own(name)), 0o600, "{name}");
    }
}

/// What a change to the files, or the passing of time, makes the next start replace.
#[test]
fn what_is_missing_or_does_not_fit_is_made_again() {
    type Change = fn(&Files);
    let nothing: Change = |_| {};
    // Root key, private root, published root, server certificate, server key: which stay as they were?
    let cases: &[(&str, Change, u32, [bool; 5])] = &[
        ("nothing", nothing, 0, [true; 5]),
        ("published root gone", |f| fs::remove_file(f.published()).unwrap(), 0, [true; 5]),
        ("published root replaced", |f| fs::write(f.published(), "other").unwrap(), 0, [true; 5]),
        ("private copy gone", |f| fs::remove_file(f.own("localhost_root.pem")).unwrap(), 0, [true; 5]),
        (
            "both root certificates gone",
            |f| {
                fs::remove_file(f.published()).unwrap();
                fs::remove_file(f.own("localhost_root.pem")).unwrap();
            },
            0,
            // The server certificate's issuer has the same name and key.
            [true, false, false, true, true],
        ),
        (
            "server certificate gone",
            |f| fs::remove_file(f.own("localhost.pem")).unwrap(),
            0,
            [true, true, true, false, false],
        ),
        (
            "server key garbage",
            |f| fs::write(f.own("localhost_key.pem"), "x").unwrap(),
            0,
            [true, true, true, false, false],
        ),
        (
            "server certificate of another root",
            |f| {
                let other = Files::after_first_start();
                for name in ["localhost.pem", "localhost_key.pem"] {
                    fs::copy(other.own(name), f.own(name)).unwrap();
                }
            },
            0,
            [true, true, true, false, false],
        ),
        (
            "server certificate and key do not match",
            |f| {
                let other = Files::after_first_start();
                fs::copy(other.own("localhost_key.pem"), f.own("localhost_key.pem")).unwrap();
            },
            0,
            [true, true, true, false, false],
        ),
        ("before two thirds of the server certificate's life", nothing, 540, [true; 5]),
        ("after two thirds of it", nothing, 560, [true, true, true, false, false]),
        ("after the root certificate's life", nothing, 3651, [true, false, false, false, false]),
        ("the root key gone", |f| fs::remove_file(f.own("localhost_root_key.pem")).unwrap(), 0, [false; 5]),
    ];
    for (what, change, days, stays) in cases {
        let files = Files::after_first_start();
        let before = files.contents();
        change(&files);
        files.start(SystemTime::now() + DAY * *days).unwrap();
        let after = files.contents();
        let stayed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
        assert_eq!(stayed, stays, "{what}");
        assert_eq!(after[1], after[2], "{what}: what is published is what the daemon uses");
        files.start(SystemTime::now() + DAY * *days).unwrap();
        assert_eq!(files.contents(), after, "{what}: the next start changes nothing");
    }
}

#[test]
fn an_unusable_root_key_is_an_error_and_stays() {
    let files = Files::after_first_start();
    let path = files.own("localhost_root_key.pem");
    fs::write(&path, "garbage").unwrap();
    let error = files.start(SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    assert_eq!(fs::read_to_string(path).unwrap(), "garbage");
}

#[test]
fn a_root_key_that_cannot_be_read_is_not_replaced() {
    let files = Files::after_first_start();
    let path = files.own("localhost_root_key.pem");
    fs::remove_file(&path).unwrap();
    // Root reads any file; a directory is unreadable as a file even to root.
    fs::create_dir(&path).unwrap();
    assert!(matches!(files.start(SystemTime::now()), Err(ServerIdentityError::Read { .. })));
    assert!(path.is_dir());
}
