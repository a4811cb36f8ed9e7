//! Where things go: the same both ways, and as `cp` has it.

use std::fs;
use std::path::Path;

use transfer::{FailureReason, TransferOptions, TransferProgress, download, upload};
use transport::testkit::run;

use crate::{openssh, write};

const PLAIN: TransferOptions = TransferOptions { recursive: false, parents: false, into_directory: false };
const RECURSIVE: TransferOptions = TransferOptions { recursive: true, ..PLAIN };
const PARENTS: TransferOptions = TransferOptions { parents: true, ..PLAIN };
const ALL_PARENTS: TransferOptions =
    TransferOptions { recursive: true, parents: true, into_directory: false };
const SEVERAL: TransferOptions = TransferOptions { into_directory: true, ..PLAIN };
const SEVERAL_PARENTS: TransferOptions = TransferOptions { into_directory: true, ..PARENTS };

/// A place that has to be there afterwards.
type Made = Result<&'static str, fn(&FailureReason) -> bool>;

const NO_DIRECTORY: Made = Err(|reason| matches!(reason, FailureReason::NoDirectory));
const NOT_A_DIRECTORY: Made = Err(|reason| matches!(reason, FailureReason::NotADirectory));
const DIRECTORY: Made = Err(|reason| matches!(reason, FailureReason::Directory));
const MISSING: Made = Err(|reason| {
    matches!(reason, FailureReason::Guest(ssh::sftp::SftpError::Missing))
        || matches!(reason, FailureReason::Local(error) if error.kind() == std::io::ErrorKind::NotFound)
});

/// The source, the destination, how, and what comes of it. `d` and `e` are directories, `f` and `g` files.
const CASES: [(&str, &str, TransferOptions, Made); 30] = [
    ("f", "new", PLAIN, Ok("new")),
    ("f", "./new", PLAIN, Ok("new")),
    ("f", "d", PLAIN, Ok("d/f")),
    ("f", "d/", PLAIN, Ok("d/f")),
    ("f", "", PLAIN, Ok("f")),
    ("f", ".", PLAIN, Ok("f")),
    ("f", "d/.", PLAIN, Ok("d/f")),
    ("f", "g", PLAIN, Ok("g")),
    ("d/inner", "new", PLAIN, Ok("new")),
    ("f", "g/", PLAIN, NOT_A_DIRECTORY),
    ("f", "new/", PLAIN, NO_DIRECTORY),
    ("f", "a/b/new", PLAIN, NO_DIRECTORY),
    ("f", "a/b/new", PARENTS, Ok("a/b/new")),
    ("f", "a/b/", PARENTS, Ok("a/b/f")),
    ("f", "g/x", PLAIN, NOT_A_DIRECTORY),
    ("f", "g/x", PARENTS, NOT_A_DIRECTORY),
    ("f", "d", SEVERAL, Ok("d/f")),
    ("f", "new", SEVERAL, NO_DIRECTORY),
    ("f", "new", SEVERAL_PARENTS, Ok("new/f")),
    ("f", "g", SEVERAL, NOT_A_DIRECTORY),
    ("none", "new", PLAIN, MISSING),
    ("d", "new", PLAIN, DIRECTORY),
    ("d", "new", RECURSIVE, Ok("new/inner")),
    ("d", "new/", RECURSIVE, Ok("new/inner")),
    ("d/", "e", RECURSIVE, Ok("e/d/inner")),
    ("d/.", "e", RECURSIVE, Ok("e/inner")),
    ("d", "g", RECURSIVE, NOT_A_DIRECTORY),
    ("d", "a/new", RECURSIVE, NO_DIRECTORY),
    ("d", "a/new", ALL_PARENTS, Ok("a/new/inner")),
    ("f", "e/../new", PLAIN, Ok("new")),
];

fn plant(side: &Path) {
    fs::create_dir_all(side.join("d")).unwrap();
    fs::create_dir_all(side.join("e")).unwrap();
    write(&side.join("f"), b"content", 0o644);
    write(&side.join("g"), b"other", 0o644);
    write(&side.join("d/inner"), b"content", 0o644);
}

#[test]
fn things_go_where_cp_would_put_them() {
    run(async {
        for (source, destination, options, made) in CASES {
            for upwards in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                let (guest, here) = (folder.path().join("guest"), folder.path().join("here"));
                plant(&guest);
                plant(&here);
                let Some((mut sftp, _child)) = openssh(&guest).await else { return };
                let progress = TransferProgress::default();
                let case = format!("{source} to {destination:?}, {options:?}, upwards: {upwards}");
                // `join` drops what ends in a dot or a slash.
                let place = |path: &str| format!("{}/{path}", here.display()).into();
                let (outcome, to) = if upwards {
                    let source: std::path::PathBuf = place(source);
                    (upload(&mut sftp, &source, destination.as_bytes(), options, &progress).await, &guest)
                } else {
                    let destination: std::path::PathBuf = place(destination);
                    (download(&mut sftp, source.as_bytes(), &destination, options, &progress).await, &here)
                };
                match (outcome, made) {
                    (Ok(()), Ok(path)) => {
                        assert_eq!(fs::read(to.join(path)).ok().as_deref(), Some(&b"content"[..]), "{case}");
                        assert_eq!(progress.error_count(), 0, "{case}");
                    }
                    (Err(error), Err(expected)) => {
                        assert!(expected(&error.reason), "{case}: {error:?}")
                    }
                    (outcome, _) => panic!("{case}: {outcome:?}"),
                }
            }
        }
    });
}
