//! OpenSSH's own `sftp-server`.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use bytes::Bytes;
use ssh::sftp::{FileType, Sftp, SftpError, WriteMode};
use test_servers::sftp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Child;
use transport::testkit::run;

/// A server that works in `folder`.
async fn server(folder: &Path) -> Option<(Sftp<impl AsyncRead + AsyncWrite + use<>>, Child)> {
    let (stream, child) = sftp(folder)?;
    Some((Sftp::open(stream).await.unwrap(), child))
}

/// Bytes that repeat nowhere near.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u8).collect()
}

/// Keeps what comes.
fn into(all: &mut Vec<u8>) -> impl AsyncFnMut(Bytes) -> io::Result<()> {
    async |data| {
        all.extend_from_slice(&data);
        Ok(())
    }
}

#[test]
fn files_of_all_lengths_go_both_ways() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut sftp, _child)) = server(folder.path()).await else { return };
        for length in [0, 1, 32_767, 32_768, 32_769, 65_536, 5_000_001] {
            let content = content(length);
            let mut told = 0;
            let file = sftp.open_to_write(b"file", WriteMode::New(0o640)).await.unwrap();
            sftp.write_from(&file, &mut &content[..], |more| told += more).await.unwrap();
            sftp.close(file).await.unwrap();
            assert_eq!(told, length);
            assert!(fs::read(folder.path().join("file")).unwrap() == content, "{length} bytes written");

            let mut read = Vec::new();
            let file = sftp.open_to_read(b"file").await.unwrap();
            sftp.read_to(&file, into(&mut read)).await.unwrap();
            sftp.close(file).await.unwrap();
            assert!(read == content, "{length} bytes read");

            let metadata = sftp.metadata(b"file").await.unwrap();
            assert_eq!((metadata.size, metadata.kind()), (Some(length as u64), Some(FileType::File)));
            sftp.remove(b"file").await.unwrap();
        }
    });
}

#[test]
fn a_tree_is_made_listed_and_changed() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut sftp, _child)) = server(folder.path()).await else { return };
        // No UTF-8, which a file system does not ask for.
        let name = b"d/\xff\n";
        sftp.make_directory(b"d", 0o700).await.unwrap();
        sftp.make_link(b"d/link", b"../elsewhere").await.unwrap();
        let file = sftp.open_to_write(name, WriteMode::New(0o600)).await.unwrap();
        sftp.set_permissions_of(&file, 0o604).await.unwrap();
        sftp.close(file).await.unwrap();

        let mut names = Vec::new();
        let directory = sftp.open_directory(b"d").await.unwrap();
        while let Some(entries) = sftp.list(&directory).await.unwrap() {
            names.extend(entries.into_iter().map(|entry| (entry.name, entry.attributes.kind().unwrap())));
        }
        sftp.close(directory).await.unwrap();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        let names: Vec<_> = names.iter().map(|(name, kind)| (&name[..], *kind)).collect();
        assert_eq!(
            names,
            [
                (&b"."[..], FileType::Directory),
                (b"..", FileType::Directory),
                (b"link", FileType::Link),
                (b"\xff\n", FileType::File),
            ]
        );
        assert_eq!(sftp.read_link(b"d/link").await.unwrap(), &b"../elsewhere"[..]);
        assert_eq!(sftp.link_metadata(b"d/link").await.unwrap().kind(), Some(FileType::Link));
        let mode = fs::metadata(folder.path().join(std::ffi::OsStr::from_bytes(name))).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o604);

        fs::write(folder.path().join("d/new"), "new").unwrap();
        sftp.rename_over(b"d/new", name).await.unwrap();
        assert_eq!(sftp.metadata(name).await.unwrap().size, Some(3));
        sftp.set_permissions(b"d", 0o500).await.unwrap();
        assert_eq!(sftp.metadata(b"d").await.unwrap().permissions(), Some(0o500));
        sftp.set_permissions(b"d", 0o700).await.unwrap();

        symlink("d", folder.path().join("to-d")).unwrap();
        let real = sftp.real_path(b"to-d").await.unwrap();
        assert_eq!(real, fs::canonicalize(folder.path().join("d")).unwrap().as_os_str().as_bytes());
    });
}

#[test]
fn what_cannot_be_done_is_told_and_the_next_thing_is_done() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut sftp, _child)) = server(folder.path()).await else { return };
        fs::create_dir(folder.path().join("d")).unwrap();
        fs::write(folder.path().join("f"), "text").unwrap();
        assert!(matches!(sftp.open_to_read(b"none").await, Err(SftpError::Missing)));
        assert!(matches!(sftp.open_directory(b"none").await, Err(SftpError::Missing)));
        assert!(matches!(sftp.make_directory(b"d", 0o700).await, Err(SftpError::Refused(_))));
        assert!(matches!(sftp.open_to_write(b"f", WriteMode::New(0o600)).await, Err(SftpError::Refused(_))));

        // A handle that is good for the other direction alone: each of the many requests fails.
        let reading = sftp.open_to_read(b"f").await.unwrap();
        let failed = sftp.write_from(&reading, &mut &content(1_000_000)[..], |_| {}).await.unwrap_err();
        assert!(!failed.is_final(), "{failed:?}");
        let mut read = Vec::new();
        sftp.read_to(&reading, into(&mut read)).await.unwrap();
        assert_eq!(read, b"text");

        // Nobody takes what is read.
        let full = async |_| Err(io::ErrorKind::StorageFull.into());
        let failed = sftp.read_to(&reading, full).await;
        assert!(matches!(failed, Err(SftpError::Sink(_))), "{failed:?}");
        sftp.close(reading).await.unwrap();
        assert_eq!(sftp.metadata(b"f").await.unwrap().size, Some(4));
    });
}

#[test]
fn a_server_that_has_gone_is_no_end_of_a_file() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut sftp, mut child)) = server(folder.path()).await else { return };
        fs::write(folder.path().join("f"), content(100_000)).unwrap();
        let file = sftp.open_to_read(b"f").await.unwrap();
        child.kill().await.unwrap();
        let failed = sftp.read_to(&file, into(&mut Vec::new())).await;
        assert!(matches!(failed, Err(SftpError::Lost(_))), "{failed:?}");
    });
}
