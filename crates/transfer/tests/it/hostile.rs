//! Guests that are up to something. Whatever they say, nothing outside of the destination changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use transfer::{FailureReason, TransferError, TransferOptions, TransferProgress, download};
use transport::testkit::run;

use crate::impostor::{DIRECTORY, FILE, Impostor, LINK};
use crate::{snapshot, write};

const RECURSIVE: TransferOptions = TransferOptions { recursive: true, parents: false, into_directory: false };

/// A directory to copy to, beside things that are to stay as they are.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        write(&folder.path().join("outside/secret"), b"ours", 0o600);
        fs::create_dir(folder.path().join("to")).unwrap();
        Self { folder }
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("to")
    }

    /// What is there, but for what is in the destination, must be what it was.
    fn check_outside(&self) {
        let mut found = snapshot(self.folder.path());
        found.retain(|path, _| !path.starts_with("to"));
        let found: Vec<_> = found.iter().map(|(path, what)| (path.as_str(), what.as_str())).collect();
        assert_eq!(found, [("outside", "755 directory"), ("outside/secret", "600 ours")]);
    }

    /// Copies `top` into the destination: how that ended, and the problems on the way.
    async fn download(&self, guest: Impostor) -> (Result<(), TransferError>, Vec<TransferError>) {
        let mut sftp = guest.start().await;
        let progress = TransferProgress::default();
        let ended = download(&mut sftp, b"top", &self.to(), RECURSIVE, &progress).await;
        self.check_outside();
        (ended, progress.take_errors())
    }
}

fn has(path: &Path, entries: &[(&str, &str)]) {
    let found = snapshot(path);
    let found: Vec<_> = found.iter().map(|(path, what)| (path.as_str(), what.as_str())).collect();
    assert_eq!(found, entries);
}

#[test]
fn names_that_are_no_names_are_left_out() {
    run(async {
        let host = Host::new();
        let bad: [&[u8]; 9] = [
            b"",
            b"/etc/cron.d/x",
            b"../outside/secret",
            b"../../x",
            b"sub/x",
            b"x/",
            b"nul\0x",
            b"sub/../../../outside/secret",
            &[b'n'; 256],
        ];
        for kind in [FILE, DIRECTORY, LINK] {
            let mut entries = vec![(&b"."[..], DIRECTORY), (b"..", DIRECTORY), (b"good", FILE)];
            entries.extend(bad.map(|name| (name, kind)));
            let guest = Impostor::listing(&entries).with_content("top/good", b"text");
            let (ended, errors) = host.download(guest).await;
            ended.unwrap();
            assert_eq!(errors.len(), bad.len(), "{errors:?}");
            assert!(errors.iter().all(|error| matches!(error.reason, FailureReason::Name)), "{errors:?}");
            has(&host.to(), &[("top", "755 directory"), ("top/good", "644 text")]);
        }
    });
}

#[test]
fn the_copied_directory_itself_is_named_by_the_user_alone() {
    run(async {
        let host = Host::new();
        for source in [&b"dir/.."[..], b"/", b".", b""] {
            let mut sftp =
                Impostor { otherwise: vec![(b"f".to_vec(), FILE)], ..Default::default() }.start().await;
            let progress = TransferProgress::default();
            download(&mut sftp, source, &host.to(), RECURSIVE, &progress).await.unwrap();
            host.check_outside();
            has(&host.to(), &[("f", "644 ")]);
        }
    });
}

#[test]
fn links_that_lead_out_are_not_made() {
    run(async {
        let host = Host::new();
        let mut guest =
            Impostor::listing(&[(b"sub", DIRECTORY), (b"dot", LINK), (b"out", LINK), (b"empty", LINK)])
                .with_list(
                    "top/sub",
                    &[(b"up", LINK), (b"out", LINK), (b"absolute", LINK), (b"round", LINK)],
                );
        for (path, target) in [
            ("top/dot", "."),
            ("top/out", "../outside/secret"),
            ("top/empty", ""),
            ("top/sub/up", "../dot"),
            ("top/sub/out", "../../outside"),
            ("top/sub/absolute", "/etc/passwd"),
            // By way of the link to `.` it would leave the destination.
            ("top/sub/round", "../dot/../../outside"),
        ] {
            guest = guest.with_content(path, target.as_bytes());
        }
        let (ended, errors) = host.download(guest).await;
        ended.unwrap();
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert!(errors.iter().all(|error| matches!(error.reason, FailureReason::LinkOut)), "{errors:?}");
        has(
            &host.to(),
            &[
                ("top", "755 directory"),
                ("top/dot", "-> ."),
                ("top/sub", "755 directory"),
                ("top/sub/up", "-> ../dot"),
            ],
        );
    });
}

#[test]
fn nothing_is_written_through_a_link() {
    run(async {
        // One that the guest has had made a moment before, under the name of a directory, and of a file.
        let host = Host::new();
        let guest = Impostor::listing(&[
            (b"sub", DIRECTORY),
            (b"d", LINK),
            (b"d", DIRECTORY),
            (b"f", LINK),
            (b"f", FILE),
        ])
        .with_content("top/d", b"sub")
        .with_list("top/d", &[(b"x", FILE)])
        .with_content("top/f", b"sub");
        let (ended, errors) = host.download(guest).await;
        ended.unwrap();
        assert!(matches!(errors[..], [TransferError { reason: FailureReason::InTheWay, .. }]), "{errors:?}");
        has(
            &host.to(),
            &[
                ("top", "755 directory"),
                ("top/d", "-> sub"),
                ("top/f", "644 sub"),
                ("top/sub", "755 directory"),
            ],
        );

        // Ones that were there before.
        let host = Host::new();
        fs::create_dir(host.to().join("top")).unwrap();
        symlink("../../outside", host.to().join("top/d")).unwrap();
        symlink("../../outside/secret", host.to().join("top/f")).unwrap();
        let guest = Impostor::listing(&[(b"d", DIRECTORY), (b"f", FILE)])
            .with_list("top/d", &[(b"secret", FILE)])
            .with_content("top/f", b"theirs");
        let (ended, errors) = host.download(guest).await;
        ended.unwrap();
        assert!(matches!(errors[..], [TransferError { reason: FailureReason::InTheWay, .. }]), "{errors:?}");
        has(&host.to(), &[("top", "755 directory"), ("top/d", "-> ../../outside"), ("top/f", "644 theirs")]);
    });
}

#[test]
fn a_link_under_the_copied_directorys_name_is_not_entered() {
    run(async {
        let host = Host::new();
        symlink("../outside", host.to().join("top")).unwrap();
        let (ended, _) = host.download(Impostor::listing(&[(b"secret", FILE)])).await;
        assert!(matches!(ended, Err(TransferError { reason: FailureReason::InTheWay, .. })), "{ended:?}");
    });
}

#[test]
fn only_permissions_are_taken_of_a_mode_and_only_files_directories_and_links_are_made() {
    run(async {
        let host = Host::new();
        let guest = Impostor::listing(&[
            (b"setuid", 0o106_755),
            (b"sticky", 0o041_755),
            (b"device", 0o060_666),
            (b"pipe", 0o010_666),
            (b"socket", 0o140_666),
        ])
        .with_list("top/sticky", &[(b".", DIRECTORY)]);
        let (ended, errors) = host.download(guest).await;
        ended.unwrap();
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(errors.iter().all(|error| matches!(error.reason, FailureReason::Special)), "{errors:?}");
        has(&host.to(), &[("top", "755 directory"), ("top/setuid", "755 "), ("top/sticky", "755 directory")]);
    });
}

#[test]
fn what_has_no_end_is_ended() {
    run(async {
        let host = Host::new();
        let guest = Impostor { otherwise: vec![(b"d".to_vec(), DIRECTORY)], ..Default::default() };
        let (ended, errors) = host.download(guest).await;
        ended.unwrap();
        assert!(matches!(errors[..], [TransferError { reason: FailureReason::TooDeep, .. }]), "{errors:?}");

        // What is left out counts too.
        let guest = Impostor {
            endless: true,
            otherwise: vec![(b".".to_vec(), DIRECTORY); 10_000],
            ..Default::default()
        };
        let (ended, _) = host.download(guest).await;
        assert!(matches!(ended, Err(TransferError { reason: FailureReason::TooMuch, .. })), "{ended:?}");

        let guest = Impostor { otherwise: vec![(b"/".to_vec(), FILE); 5_000], ..Default::default() };
        let (ended, errors) = host.download(guest).await;
        ended.unwrap();
        assert_eq!(errors.len(), 100, "no more are kept");
    });
}

#[test]
fn a_length_is_what_arrives() {
    run(async {
        let content = vec![7; 200_000];
        for size in [0, 1, u64::MAX] {
            let host = Host::new();
            let guest =
                Impostor { size, ..Impostor::listing(&[(b"f", FILE)]).with_content("top/f", &content) };
            let (ended, errors) = host.download(guest).await;
            ended.unwrap();
            assert!(errors.is_empty(), "{errors:?}");
            assert!(fs::read(host.to().join("top/f")).unwrap() == content, "{size}");
        }
    });
}

#[test]
fn a_file_that_breaks_off_leaves_nothing() {
    run(async {
        for cut in [true, false] {
            let host = Host::new();
            fs::create_dir(host.to().join("top")).unwrap();
            write(&host.to().join("top/old"), b"as it was", 0o604);
            let at = Some(100_000);
            let (cut, silent) = if cut { (at, None) } else { (None, at) };
            let guest = Impostor::listing(&[(b"old", FILE)]).with_content("top/old", &[7; 200_000]);
            let mut sftp = Impostor { cut, silent, ..guest }.start().await;
            let progress = TransferProgress::default();
            let to = host.to();
            let work = download(&mut sftp, b"top", &to, RECURSIVE, &progress);
            if cut.is_some() {
                assert!(work.await.unwrap_err().is_final());
            } else {
                // Ctrl-C, with a part of it here.
                let mut work = Box::pin(work);
                while progress.current().is_none_or(|now| now.moved < 90_000) {
                    let _ = timeout(Duration::from_millis(5), &mut work).await;
                }
                assert!(snapshot(&to).len() == 3, "a half file under another name");
                drop(work);
            }
            has(&to, &[("top", "755 directory"), ("top/old", "604 as it was")]);
        }
    });
}
