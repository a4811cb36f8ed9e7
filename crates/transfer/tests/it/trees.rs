//! Whole trees, both ways, with a server that behaves.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use ssh::sftp::Sftp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use transfer::{
    FailureReason, Location, TransferOptions, TransferProgress, UploadSource, download, download_to, upload,
    upload_from,
};
use transport::testkit::run;

use crate::{openssh, snapshot, write};

const RECURSIVE: TransferOptions = TransferOptions { recursive: true, parents: false, into_directory: false };
const PLAIN: TransferOptions = TransferOptions { recursive: false, parents: false, into_directory: false };

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A tree with something of everything.
fn plant(folder: &Path) {
    let file =
        |name: &[u8], content: &[u8], mode| write(&folder.join(OsStr::from_bytes(name)), content, mode);
    fs::create_dir_all(folder.join("sub/deeper")).unwrap();
    fs::create_dir(folder.join("hollow")).unwrap();
    file(b"empty", b"", 0o644);
    file(b"program", b"#!/bin/sh\n", 0o755);
    file(b"private", b"mine", 0o600);
    file(b"sub/a b", b"space", 0o644);
    file("sub/Gr\u{fc}\u{df}e".as_bytes(), b"letters", 0o644);
    file(b"sub/two\nlines", b"newline", 0o644);
    file(b"sub/\xff\x1b", b"no text", 0o644);
    file(b"sub/deeper/-rf", &[0, 255, 10, 13], 0o400);
    file(b".hidden", b"dot", 0o644);
    symlink("../program", folder.join("sub/link")).unwrap();
    symlink("hollow", folder.join("way")).unwrap();
    fs::set_permissions(folder.join("sub/deeper"), std::os::unix::fs::PermissionsExt::from_mode(0o500))
        .unwrap();
}

async fn up(
    sftp: &mut Sftp<impl AsyncRead + AsyncWrite>,
    from: &Path,
    to: &[u8],
    progress: &TransferProgress,
) {
    upload(sftp, from, to, RECURSIVE, progress).await.unwrap();
}

async fn down(
    sftp: &mut Sftp<impl AsyncRead + AsyncWrite>,
    from: &[u8],
    to: &Path,
    progress: &TransferProgress,
) {
    download(sftp, from, to, RECURSIVE, progress).await.unwrap();
}

#[test]
fn a_tree_is_the_same_there_and_back() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let guest = folder.path().join("guest");
        fs::create_dir(&guest).unwrap();
        let Some((mut sftp, _child)) = openssh(&guest).await else { return };
        let here = folder.path().join("here");
        fs::create_dir(&here).unwrap();
        plant(&here);
        let progress = TransferProgress::default();
        let planted = snapshot(&here);
        up(&mut sftp, &here, b"there", &progress).await;
        assert_eq!(snapshot(&guest.join("there")), planted);
        let back = folder.path().join("back");
        down(&mut sftp, b"there", &back, &progress).await;
        assert_eq!(snapshot(&back), planted);
        // Once more, over what is there: by name, and what is in it.
        down(&mut sftp, b"there/.", &back, &progress).await;
        up(&mut sftp, &back.join("."), b"there", &progress).await;
        assert_eq!((snapshot(&back), snapshot(&guest.join("there"))), (planted.clone(), planted));
        assert_eq!(progress.error_count(), 0, "{:?}", progress.take_errors());
    });
}

#[test]
fn what_cannot_be_copied_is_told_and_the_rest_is_copied() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let guest = folder.path().join("guest");
        let here = folder.path().join("here");
        for side in [&guest, &here] {
            fs::create_dir_all(side.join("from/d")).unwrap();
            fs::create_dir_all(side.join("to/from/d/taken")).unwrap();
            make_pipe(&side.join("from/a-pipe"));
            write(&side.join("from/d/taken"), b"new", 0o644);
            write(&side.join("from/e"), b"rest", 0o644);
        }
        symlink("/etc/passwd", here.join("from/absolute")).unwrap();
        let Some((mut sftp, _child)) = openssh(&guest).await else { return };

        let progress = TransferProgress::default();
        up(&mut sftp, &here.join("from"), b"to", &progress).await;
        let errors: Vec<_> = progress.take_errors();
        assert_eq!(progress.error_count(), 2, "{errors:?}");
        assert!(
            matches!(&errors[0].location, Location::Local(path) if path.ends_with("a-pipe")),
            "{errors:?}"
        );
        assert!(
            matches!(errors[0].reason, FailureReason::Special)
                && matches!(errors[1].reason, FailureReason::InTheWay),
            "{errors:?}"
        );
        let expected = |mode: &str| {
            let entries = [
                ("from", "755 directory"),
                ("from/d", "755 directory"),
                ("from/d/taken", mode),
                ("from/e", "644 rest"),
            ];
            BTreeMap::from(entries.map(|(path, what)| (path.to_owned(), what.to_owned())))
        };
        // Links are the user's own on the way up.
        let mut uploaded = expected("755 directory");
        uploaded.insert("from/absolute".to_owned(), "-> /etc/passwd".to_owned());
        assert_eq!(snapshot(&guest.join("to")), uploaded);

        let progress = TransferProgress::default();
        down(&mut sftp, b"from", &here.join("to"), &progress).await;
        let errors: Vec<_> = progress.take_errors();
        assert_eq!(progress.error_count(), 2, "{errors:?}");
        assert!(errors.iter().any(|error| matches!(error.reason, FailureReason::Special)), "{errors:?}");
        assert!(errors.iter().any(|error| matches!(error.reason, FailureReason::InTheWay)), "{errors:?}");
        assert_eq!(snapshot(&here.join("to")), expected("755 directory"));
    });
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_a_special_one_is_not_replaced() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (guest, here) = (folder.path().join("guest"), folder.path().join("here"));
        for side in [&guest, &here] {
            fs::create_dir(side).unwrap();
            write(&side.join("new"), b"new", 0o666);
            write(&side.join("old"), b"old and longer", 0o600);
            symlink("old", side.join("link")).unwrap();
        }
        let Some((mut sftp, _child)) = openssh(&guest).await else { return };
        let progress = TransferProgress::default();
        // By way of the user's own link.
        upload(&mut sftp, &here.join("new"), b"link", PLAIN, &progress).await.unwrap();
        download(&mut sftp, b"new", &here.join("link"), PLAIN, &progress).await.unwrap();
        for side in [&guest, &here] {
            let found = snapshot(side);
            assert_eq!(found.get("old").map(String::as_str), Some("600 new"));
            assert_eq!(found.get("link").map(String::as_str), Some("-> old"));
            assert_eq!(found.len(), 3, "{found:?}");
        }

        upload(&mut sftp, &here.join("new"), b"/dev/null", PLAIN, &progress).await.unwrap();
        download(&mut sftp, b"new", Path::new("/dev/null"), PLAIN, &progress).await.unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());

        let pipe = here.join("pipe");
        make_pipe(&pipe);
        let reading = tokio::task::spawn_blocking({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        download(&mut sftp, b"new", &pipe, PLAIN, &progress).await.unwrap();
        assert_eq!(reading.await.unwrap(), b"new");
        let writing = tokio::task::spawn_blocking({
            let pipe = pipe.clone();
            move || fs::write(pipe, "piped").unwrap()
        });
        upload(&mut sftp, &pipe, b"piped", PLAIN, &progress).await.unwrap();
        writing.await.unwrap();
        assert_eq!(fs::read(guest.join("piped")).unwrap(), b"piped");
    });
}

#[test]
fn streams_go_both_ways() {
    run(async {
        let guest = tempfile::tempdir().unwrap();
        let Some((mut sftp, _child)) = openssh(guest.path()).await else { return };
        let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let progress = TransferProgress::default();
        let source = |name: Option<&str>| UploadSource {
            content: &content[..],
            name: name.map(|name| name.as_bytes().to_vec()),
            permissions: 0o644,
            size: None,
            shown: "-".into(),
        };
        upload_from(&mut sftp, source(None), b"stream", PLAIN, &progress).await.unwrap();
        assert!(fs::read(guest.path().join("stream")).unwrap() == content);
        let refused = upload_from(&mut sftp, source(None), b"", PLAIN, &progress).await.unwrap_err();
        assert!(matches!(refused.reason, FailureReason::Directory), "{refused}");

        let mut read = Vec::new();
        let keep = async |data: bytes::Bytes| {
            read.extend_from_slice(&data);
            Ok(())
        };
        download_to(&mut sftp, b"stream", keep, &progress).await.unwrap();
        assert!(read == content);
        let full = async |_| Err(std::io::ErrorKind::StorageFull.into());
        let refused = download_to(&mut sftp, b"stream", full, &progress).await.unwrap_err();
        assert!(refused.is_final(), "{refused}");
        let refused = download_to(&mut sftp, b"", async |_| Ok(()), &progress).await.unwrap_err();
        assert!(matches!(refused.reason, FailureReason::Directory), "{refused}");
    });
}

#[test]
fn an_upload_that_breaks_off_leaves_what_was_there() {
    run(async {
        let guest = tempfile::tempdir().unwrap();
        let Some((mut sftp, _child)) = openssh(guest.path()).await else { return };
        write(&guest.path().join("f"), b"as it was", 0o644);
        let progress = TransferProgress::default();
        let source =
            |content| UploadSource { content, name: None, permissions: 0o644, size: None, shown: "-".into() };

        // The source fails.
        let failing = failing_midway();
        let failed = upload_from(&mut sftp, source(failing), b"f", PLAIN, &progress).await.unwrap_err();
        assert!(matches!(failed.reason, FailureReason::Local(_)), "{failed}");
        assert_eq!(snapshot(guest.path()).into_values().collect::<Vec<_>>(), ["644 as it was"]);
        assert_eq!(progress.partial(), None);

        // It never ends, and is given up: what is half made is known, and can be removed.
        let progress = TransferProgress::default();
        let (mut feeding, endless) = tokio::io::duplex(1000);
        tokio::io::AsyncWriteExt::write_all(&mut feeding, &[7; 900]).await.unwrap();
        let source =
            UploadSource { content: endless, name: None, permissions: 0o644, size: None, shown: "-".into() };
        let mut work = Box::pin(upload_from(&mut sftp, source, b"f", PLAIN, &progress));
        while progress.current().is_none_or(|now| now.moved < 900) {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(5), &mut work).await;
        }
        drop(work);
        let half = progress.partial().unwrap();
        assert!(guest.path().join(OsStr::from_bytes(&half)).exists());
        assert_eq!(fs::read(guest.path().join("f")).unwrap(), b"as it was");
    });
}

/// Bytes, then an error.
fn failing_midway() -> Box<dyn AsyncRead + Unpin> {
    struct Failing;
    impl AsyncRead for Failing {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("bad sector")))
        }
    }
    Box::new((&[7_u8; 100_000][..]).chain(Failing))
}
