//! The disk itself: that it sees what is done, and forgets what it should.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use faulty_disk::{Extent, Fault, Log, Plan, Step, Tree, record, set};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Replaces a file as one should, and tells the directory.
fn replace(directory: &Path, bytes: &[u8]) -> io::Result<()> {
    let (new, file) = (directory.join("new"), directory.join("file"));
    let mut opened = File::create_new(&new)?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    fs::rename(new, file)?;
    File::open(directory)?.sync_all()
}

fn recorded(plan: Plan, body: impl FnOnce(&Path) -> io::Result<()>) -> (io::Result<()>, Log) {
    let directory = directory();
    fs::write(directory.path().join("file"), "old").unwrap();
    record(directory.path(), || {
        set(plan);
        body(directory.path())
    })
}

/// What the file may hold at the end.
fn contents(log: &Log) -> BTreeSet<Option<String>> {
    let text = |tree: Tree| tree.file("file").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    log.states(log.steps().len()).into_iter().map(text).collect()
}

fn texts<const N: usize>(texts: [Option<&str>; N]) -> BTreeSet<Option<String>> {
    texts.into_iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn each_change_is_seen() {
    let directory = directory();
    let ((), log) = record(directory.path(), || {
        replace(directory.path(), b"text").unwrap();
        fs::create_dir(directory.path().join("below")).unwrap();
        fs::set_permissions(directory.path().join("below"), mode(0o700)).unwrap();
        let file = File::options().write(true).open(directory.path().join("file")).unwrap();
        file.set_len(2).unwrap();
        file.set_permissions(mode(0o640)).unwrap();
        file.sync_data().unwrap();
        fs::remove_file(directory.path().join("file")).unwrap();
        fs::remove_dir(directory.path().join("below")).unwrap();
        fs::create_dir(directory.path().join("below")).unwrap();
        fs::create_dir(directory.path().join("below/more")).unwrap();
        fs::rename(directory.path().join("below"), directory.path().join("gone")).unwrap();
        fs::remove_dir_all(directory.path().join("gone")).unwrap();
    });
    let created = directory.path().join("another");
    fs::write(&created, "").unwrap();
    let usual = mode_of(&created);
    let of_directories = usual | ((usual & 0o444) >> 2);
    let path = PathBuf::from;
    let expected = [
        Step::Create(path("new"), usual),
        Step::Contents(path("new"), b"text".to_vec()),
        Step::Sync(path("new")),
        Step::Rename(path("new"), path("file")),
        Step::Sync(path("")),
        Step::MakeDirectory(path("below"), of_directories),
        Step::Mode(path("below"), 0o700),
        Step::Contents(path("file"), b"te".to_vec()),
        Step::Mode(path("file"), 0o640),
        Step::Sync(path("file")),
        Step::Remove(path("file")),
        Step::Remove(path("below")),
        Step::MakeDirectory(path("below"), of_directories),
        Step::MakeDirectory(path("below/more"), of_directories),
        Step::Rename(path("below"), path("gone")),
        Step::Remove(path("gone/more")),
        Step::Remove(path("gone")),
    ];
    assert_eq!(log.steps(), expected);
}

fn mode(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

fn mode_of(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o7777
}

#[test]
fn what_is_done_elsewhere_is_not_recorded() {
    let (here, elsewhere) = (directory(), directory());
    let ((), log) = record(here.path(), || {
        replace(elsewhere.path(), b"text").unwrap();
        let path = here.path().join("of another thread");
        std::thread::scope(|scope| {
            scope.spawn(|| fs::write(&path, "").and_then(|()| fs::remove_file(&path))).join().unwrap()
        })
        .unwrap();
    });
    assert_eq!((log.steps(), log.asked()), ([].as_slice(), 0));
}

#[test]
#[should_panic(expected = "not all changes were seen")]
fn a_change_by_other_means_is_noticed() {
    let directory = directory();
    record(directory.path(), || {
        let file = tempfile::NamedTempFile::new_in(directory.path()).unwrap();
        // Renamed by the `rustix` crate, which calls no library.
        file.persist(directory.path().join("file")).unwrap();
    });
}

#[test]
fn a_file_that_is_replaced_as_it_should_be_is_always_whole() {
    let (result, log) = recorded(Plan::default(), |directory| replace(directory, b"text"));
    result.unwrap();
    assert_eq!(contents(&log), texts([Some("text")]));
    let all = (0..=log.steps().len()).flat_map(|steps| log.states(steps));
    let seen: BTreeSet<_> = all.map(|tree| tree.file("file").map(<[u8]>::to_vec)).collect();
    assert_eq!(seen, [Some(b"old".to_vec()), Some(b"text".to_vec())].into());
}

#[test]
fn without_a_sync_it_is_not() {
    let without = |sync| {
        let plan = Plan { ignored_sync: Some(sync), ..Plan::default() };
        contents(&recorded(plan, |directory| replace(directory, b"text")).1)
    };
    assert_eq!(without(0), texts([Some(""), Some("te"), Some("text")]), "of the file");
    assert_eq!(without(1), texts([Some("old"), Some("text")]), "of the directory");
    assert_eq!(without(2), texts([Some("text")]), "there is no third");
}

#[test]
fn a_file_written_in_place_may_be_lost() {
    let (_, log) = recorded(Plan::default(), |directory| fs::write(directory.join("file"), "text"));
    assert_eq!(contents(&log), texts([Some("old"), Some(""), Some("te"), Some("text")]));
    let (_, log) = recorded(Plan::default(), |directory| fs::remove_file(directory.join("file")));
    assert_eq!(contents(&log), texts([Some("old"), None]));
}

#[test]
fn what_is_in_a_directory_that_was_not_synced_may_be_lost_with_it() {
    let (_, log) = recorded(Plan::default(), |directory| {
        fs::create_dir(directory.join("below"))?;
        replace(&directory.join("below"), b"text")
    });
    let states = log.states(log.steps().len());
    let found: BTreeSet<_> = states.iter().map(|tree| tree.file("below/file")).collect();
    assert_eq!(found, [None, Some(b"text".as_slice())].into());
}

#[test]
fn each_request_can_be_refused() {
    let (_, log) = recorded(Plan::default(), |directory| replace(directory, b"text"));
    assert_eq!(log.asked(), 5);
    for at in 0..5 {
        for extent in [Extent::Once, Extent::Lasting, Extent::AfterHalf] {
            let fault = Fault { at, errno: libc::ENOSPC, extent };
            let plan = Plan { fault: Some(fault), ..Plan::default() };
            let (result, log) = recorded(plan, |directory| {
                let refused = replace(directory, b"text").unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
                // A full disk stays full, and files can be removed from it.
                let second = fs::write(directory.join("second"), "");
                assert_eq!(second.is_ok(), extent == Extent::Once, "{fault:?}");
                let _ = fs::remove_file(directory.join("new"));
                set(Plan::default());
                replace(directory, b"later")
            });
            result.unwrap();
            assert_eq!(contents(&log), texts([Some("later")]), "{fault:?}");
            let half = Step::Contents("new".into(), b"te".to_vec());
            assert_eq!(log.steps().contains(&half), at == 1 && extent == Extent::AfterHalf, "{fault:?}");
        }
    }
}
