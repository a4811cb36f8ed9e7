//! The daemon's own directories and files: what another user made or could still change is refused, and
//! stays as it was.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use durable::private;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, mkfifo, seteuid};
use tempfile::TempDir;
use test_process::{alone, is_root};

/// Debian's `nobody`, and a group that is not root's; any others do.
const NOBODY: u32 = 65534;
const STAFF: u32 = 50;

/// A directory of our own, whatever the umask.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    set_mode(place.path(), 0o755);
    place
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Owner, group and mode of what has this name, be it a link.
fn access(path: &Path) -> (u32, u32, u32) {
    let metadata = path.symlink_metadata().unwrap();
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
}

fn mode(path: &Path) -> u32 {
    access(path).2
}

/// Makes directories and gives the last one's path.
fn made(place: &Path, path: &str) -> PathBuf {
    let path = place.join(path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// What `work` gives, or a failure where it waits for somebody: its thread is then left waiting.
fn without_waiting<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|error| panic!("{what}: {error}"))
}

#[test]
fn a_directory_is_ours_alone_whatever_the_umask() {
    alone(concat!(module_path!(), "::a_directory_is_ours_alone_whatever_the_umask"), || {
        for mask in [0o000, 0o022, 0o077, 0o277] {
            umask(Mode::from_bits_truncate(mask));
            let place = place();
            let new = place.path().join("new");
            private::directory(&new).unwrap();
            assert_eq!(mode(&new), 0o700, "umask {mask:03o}");

            for before in [0o700, 0o755, 0o777, 0o1777, 0o500] {
                let old = made(place.path(), &format!("old-{before:o}"));
                fs::write(old.join("file"), "kept").unwrap();
                set_mode(&old, before);
                assert_eq!(private::is_own_directory(&old), before == 0o700, "{before:o}");
                private::directory(&old).unwrap();
                assert!(private::is_own_directory(&old), "{before:o}");
                assert_eq!(mode(&old), 0o700, "umask {mask:03o}, once {before:o}");
                assert_eq!(fs::read(old.join("file")).unwrap(), b"kept");
            }
        }
    });
}

#[test]
fn a_directory_may_be_named_by_a_relative_path() {
    alone(concat!(module_path!(), "::a_directory_may_be_named_by_a_relative_path"), || {
        let place = place();
        std::env::set_current_dir(place.path()).unwrap();
        for name in ["bare", "./here", "bare/below/"] {
            private::directory(Path::new(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(mode(&place.path().join(name)), 0o700, "{name}");
        }
    });
}

/// Lays out a place; gives the directory to be used, and what must stay as it is.
type Layout = fn(&Path) -> (PathBuf, Vec<PathBuf>);

#[test]
fn what_is_no_directory_is_refused_and_stays() {
    let cases: [(&str, Layout); 5] = [
        ("a link to a directory", |place| {
            let target = made(place, "target");
            symlink(&target, place.join("data")).unwrap();
            (place.join("data"), vec![target])
        }),
        // Which the system follows.
        ("a link with a slash behind it", |place| {
            let target = made(place, "target");
            symlink(&target, place.join("data")).unwrap();
            (place.join("data/"), vec![target])
        }),
        ("a link that leads nowhere", |place| {
            symlink(place.join("missing"), place.join("data")).unwrap();
            (place.join("data"), vec![place.join("data")])
        }),
        ("a file", |place| {
            fs::write(place.join("data"), "").unwrap();
            set_mode(&place.join("data"), 0o644);
            (place.join("data"), vec![place.join("data")])
        }),
        ("a FIFO", |place| {
            mkfifo(&place.join("data"), Mode::from_bits_truncate(0o644)).unwrap();
            (place.join("data"), vec![place.join("data")])
        }),
    ];
    for (what, layout) in cases {
        let place = place();
        let (path, stays) = layout(place.path());
        let before: Vec<_> = stays.iter().map(|path| access(path)).collect();
        assert!(!private::is_own_directory(path.components().as_path()), "{what}");
        let error = without_waiting(what, move || private::directory(&path)).unwrap_err();
        assert!(error.to_string().contains("it is not a directory"), "{what}: {error}");
        let after: Vec<_> = stays.iter().map(|path| access(path)).collect();
        assert_eq!(after, before, "{what}");
        assert!(!place.path().join("missing").exists(), "{what}");
    }
}

#[test]
fn a_directory_needs_one_above_it() {
    let place = place();
    let error = private::directory(&place.path().join("missing/data")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!place.path().join("missing").exists());
}

/// Root's view of what others could replace. `Some` is what the refusal says.
#[test]
fn what_others_made_or_can_replace_is_refused_and_stays() {
    type Case = (&'static str, fn(&Path) -> PathBuf, Option<&'static str>);
    let cases: &[Case] = &[
        (
            "another user's directory",
            |place| {
                let data = made(place, "data");
                set_mode(&data, 0o755);
                chown(&data, Some(NOBODY), None).unwrap();
                data
            },
            Some("it belongs to user 65534, not to the user who runs this"),
        ),
        (
            "another user's parent",
            |place| {
                chown(made(place, "above"), Some(NOBODY), None).unwrap();
                place.join("above/data")
            },
            Some("/above belongs to user 65534, who could replace it"),
        ),
        (
            "another user's parent, and a directory of ours in it",
            |place| {
                let data = made(place, "above/data");
                set_mode(&data, 0o755);
                chown(place.join("above"), Some(NOBODY), None).unwrap();
                data
            },
            Some("/above belongs to user 65534, who could replace it"),
        ),
        (
            "another user's directory far above",
            |place| {
                let data = made(place, "above/ours/data");
                set_mode(&data, 0o755);
                chown(place.join("above"), Some(NOBODY), None).unwrap();
                data
            },
            Some("/above belongs to user 65534, who could replace it"),
        ),
        (
            "a parent that all may write to",
            |place| {
                set_mode(&made(place, "above"), 0o777);
                place.join("above/data")
            },
            Some("other users may write to "),
        ),
        (
            "a directory far above that all may write to",
            |place| {
                let data = made(place, "above/ours/data");
                set_mode(&data, 0o755);
                set_mode(&place.join("above"), 0o757);
                data
            },
            Some("other users may write to "),
        ),
        (
            "a parent that all may write to, and sticky",
            |place| {
                set_mode(&made(place, "above"), 0o1777);
                place.join("above/data")
            },
            None,
        ),
        (
            "another user's directory in a sticky parent",
            |place| {
                let data = made(place, "above/data");
                set_mode(&data, 0o755);
                set_mode(&place.join("above"), 0o1777);
                chown(&data, Some(NOBODY), None).unwrap();
                data
            },
            Some("it belongs to user 65534, not to the user who runs this"),
        ),
        (
            "a parent that a group may write to",
            |place| {
                let above = made(place, "above");
                chown(&above, None, Some(STAFF)).unwrap();
                set_mode(&above, 0o775);
                above.join("data")
            },
            Some("other users may write to "),
        ),
        (
            "a parent that a group may write to, and sticky",
            |place| {
                let above = made(place, "above");
                chown(&above, None, Some(STAFF)).unwrap();
                set_mode(&above, 0o1775);
                above.join("data")
            },
            None,
        ),
        (
            "a parent of a group that may read it",
            |place| {
                let above = made(place, "above");
                chown(&above, None, Some(STAFF)).unwrap();
                set_mode(&above, 0o755);
                above.join("data")
            },
            None,
        ),
        (
            "a parent that root's group may write to",
            |place| {
                let above = made(place, "above");
                chown(&above, None, Some(0)).unwrap();
                set_mode(&above, 0o775);
                above.join("data")
            },
            None,
        ),
        (
            "a parent that the group of the system's services on macOS may write to",
            |place| {
                let above = made(place, "above");
                chown(&above, None, Some(1)).unwrap();
                set_mode(&above, 0o775);
                above.join("data")
            },
            (!cfg!(target_os = "macos")).then_some("other users may write to "),
        ),
        (
            "a link of ours above it",
            |place| {
                symlink(made(place, "target"), place.join("link")).unwrap();
                place.join("link/data")
            },
            None,
        ),
        (
            "a link of ours above it, to where another user can write",
            |place| {
                chown(made(place, "target"), Some(NOBODY), None).unwrap();
                symlink("target", place.join("link")).unwrap();
                place.join("link/data")
            },
            Some("/target belongs to user 65534, who could replace it"),
        ),
        (
            "another user's link above it, to a directory of ours",
            |place| {
                // Where the sticky bit keeps the directory itself.
                let above = made(place, "above");
                set_mode(&above, 0o1777);
                symlink(made(place, "target"), above.join("link")).unwrap();
                std::os::unix::fs::lchown(above.join("link"), Some(NOBODY), None).unwrap();
                above.join("link/data")
            },
            Some("/link belongs to user 65534, who could replace it"),
        ),
        (
            "a link in another user's directory, to a directory of ours",
            |place| {
                let above = made(place, "above");
                symlink(made(place, "target"), above.join("link")).unwrap();
                chown(&above, Some(NOBODY), None).unwrap();
                above.join("link/data")
            },
            Some("/above belongs to user 65534, who could replace it"),
        ),
        (
            "a link of ours, to one in another user's directory, to a directory of ours",
            |place| {
                let above = made(place, "above");
                symlink(made(place, "target"), above.join("further")).unwrap();
                chown(&above, Some(NOBODY), None).unwrap();
                // The slash would hide the second link.
                symlink("above/further/", place.join("link")).unwrap();
                place.join("link/data")
            },
            Some("/above belongs to user 65534, who could replace it"),
        ),
    ];
    if !is_root("private: what others made or can replace") {
        return;
    }
    for (what, layout, refusal) in cases {
        let place = place();
        let data = layout(place.path());
        let before = data.exists().then(|| access(&data));
        match (private::directory(&data), refusal) {
            (Ok(()), None) => assert_eq!((access(&data).0, mode(&data)), (0, 0o700), "{what}"),
            (Err(error), Some(expected)) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}");
                assert!(error.to_string().contains(expected), "{what}: {error}");
                assert_eq!(data.exists().then(|| access(&data)), before, "{what}");
            }
            (result, _) => panic!("{what}: {result:?}"),
        }
    }
}

/// `/usr/local` is open to a group on some systems. Who asks is told of such directories, and of no others.
#[test]
fn groups_are_told_where_they_are_left_to_the_administrator_and_users_are_refused() {
    if !is_root("private: groups that are left to the administrator") {
        return;
    }
    let place = place();
    let place = place.path();
    let directory = |name: &str, group: u32, mode: u32| {
        let path = made(place, name);
        chown(&path, None, Some(group)).unwrap();
        set_mode(&path, mode);
        path
    };
    let open = directory("local", STAFF, 0o2775);
    let below = made(place, "local/etc/below");
    let second = directory("local/share", STAFF, 0o775);
    symlink(&second, place.join("link")).unwrap();
    directory("sticky", STAFF, 0o1775);
    directory("readable", STAFF, 0o755);
    directory("roots", 0, 0o775);
    for (path, expected) in [
        (below.as_path(), vec![open.clone()]),
        (&second, vec![open.clone(), second.clone()]),
        (&place.join("link"), vec![open, second.clone()]),
        (&made(place, "sticky/below"), vec![]),
        (&made(place, "readable/below"), vec![]),
        (&made(place, "roots/below"), vec![]),
    ] {
        assert_eq!(private::beyond_other_users(path).unwrap(), expected, "{}", path.display());
        let strict = private::beyond_others(path);
        assert_eq!(strict.is_ok(), expected.is_empty(), "{}: {strict:?}", path.display());
    }

    chown(place.join("local/etc"), Some(NOBODY), None).unwrap();
    set_mode(&second, 0o777);
    for (path, why) in [
        (&below, "/local/etc belongs to user 65534, who could replace it"),
        (&second, "/local/share, and could replace it"),
        (&place.join("missing"), "No such file"),
    ] {
        let error = private::beyond_other_users(path).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// A group of one's own is no stranger: many systems give each user one, and a umask of 002.
#[test]
fn an_ordinary_user_may_share_with_a_group_and_with_root() {
    alone(concat!(module_path!(), "::an_ordinary_user_may_share_with_a_group_and_with_root"), || {
        if !is_root("private: an ordinary user's directories") {
            return;
        }
        let place = place();
        let [home, roots, public, anothers] =
            ["home", "roots", "public", "anothers"].map(|name| made(place.path(), name));
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        set_mode(&home, 0o775);
        let in_roots = made(&roots, "data");
        chown(&in_roots, Some(NOBODY), None).unwrap();
        set_mode(&public, 0o777);
        chown(&anothers, Some(NOBODY - 1), None).unwrap();
        set_mode(&anothers, 0o1777);
        let of_root = made(place.path(), "of-root");

        seteuid(Uid::from_raw(NOBODY)).unwrap();
        let results = [&home.join("data"), &in_roots, &public.join("data"), &anothers.join("data"), &of_root]
            .map(|path| private::directory(path).map_err(|error| error.to_string()));
        seteuid(Uid::from_raw(0)).unwrap();

        let [home_result, roots_result, public_result, anothers_result, of_root_result] = results;
        assert_eq!((home_result, roots_result), (Ok(()), Ok(())));
        assert_eq!((mode(&home.join("data")), mode(&in_roots)), (0o700, 0o700));
        for (result, expected) in [
            (public_result, "other users may write to "),
            (anothers_result, "/anothers belongs to user 65533"),
            (of_root_result, "it belongs to user 0, not to the user who runs this"),
        ] {
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    });
}

#[test]
fn each_new_level_is_readable_whatever_the_umask_and_old_ones_stay() {
    alone(
        concat!(module_path!(), "::each_new_level_is_readable_whatever_the_umask_and_old_ones_stay"),
        || {
            for mask in [0o000, 0o022, 0o077] {
                umask(Mode::from_bits_truncate(mask));
                let place = place();
                for before in [0o700, 0o775] {
                    let old = made(place.path(), &format!("old-{before:o}"));
                    set_mode(&old, before);
                    private::create_all(&old.join("a/b/c")).unwrap();
                    for new in ["a", "a/b", "a/b/c"] {
                        assert_eq!(mode(&old.join(new)), 0o755, "umask {mask:03o}, {new}");
                    }
                    private::create_all(&old).unwrap();
                    assert_eq!(mode(&old), before, "umask {mask:03o}");
                }
            }
        },
    );
}

#[test]
fn levels_are_made_in_the_working_directory_and_not_through_files() {
    alone(
        concat!(module_path!(), "::levels_are_made_in_the_working_directory_and_not_through_files"),
        || {
            let place = place();
            std::env::set_current_dir(place.path()).unwrap();
            private::create_all(Path::new("a/b")).unwrap();
            private::create_all(Path::new("")).unwrap();
            assert!(place.path().join("a/b").is_dir());

            fs::write("file", "").unwrap();
            private::create_all(Path::new("file/below")).unwrap_err();
            assert_eq!(fs::read("file").unwrap(), b"");
        },
    );
}

#[test]
fn a_file_is_read_whole_or_not_at_all() {
    let place = place();
    let path = |name: &str| place.path().join(name);
    fs::write(path("empty"), "").unwrap();
    fs::write(path("ten bytes"), "0123456789").unwrap();
    fs::write(path("eleven"), "0123456789a").unwrap();
    fs::create_dir(path("directory")).unwrap();
    mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    symlink("ten bytes", path("link")).unwrap();
    symlink("missing", path("dangling")).unwrap();
    symlink("circle", path("circle")).unwrap();
    for (name, expected) in [
        ("missing", Ok(None)),
        ("no directory/missing", Ok(None)),
        ("empty", Ok(Some(b"".as_slice()))),
        ("ten bytes", Ok(Some(b"0123456789"))),
        ("link", Ok(Some(b"0123456789"))),
        ("eleven", Err("it has more than 10 bytes")),
        ("directory", Err("it is not a regular file")),
        ("fifo", Err("it is not a regular file")),
        ("/dev/zero", Err("it is not a regular file")),
        ("dangling", Err("it is a link that leads nowhere")),
        ("circle", Err("symbolic links")),
        ("eleven/below", Err("Not a directory")),
    ] {
        let path = path(name);
        let found = without_waiting(name, move || private::read(&path, 10));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{name}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{name}: {error}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    assert_eq!(private::read(&path("eleven"), u64::MAX).unwrap().unwrap().len(), 11);
}

#[test]
fn a_lock_file_is_ours_alone_whatever_the_umask() {
    alone(concat!(module_path!(), "::a_lock_file_is_ours_alone_whatever_the_umask"), || {
        for mask in [0o000, 0o022, 0o077] {
            umask(Mode::from_bits_truncate(mask));
            let place = place();
            let path = place.path().join("lock");
            let file = private::lock_file(&path).unwrap();
            assert_eq!(mode(&path), 0o600, "umask {mask:03o}");
            file.try_lock().unwrap();
            // What stands in one that exists is not cut off, and it is the same file.
            fs::write(&path, "words").unwrap();
            let again = private::lock_file(&path).unwrap();
            assert!(again.try_lock().is_err(), "umask {mask:03o}");
            assert_eq!(fs::read(&path).unwrap(), b"words");
        }
    });
}

#[test]
fn what_is_no_file_is_not_locked() {
    let place = place();
    let path = |name: &str| place.path().join(name);
    fs::write(path("target"), "words").unwrap();
    set_mode(&path("target"), 0o644);
    symlink("target", path("link")).unwrap();
    symlink("missing", path("dangling")).unwrap();
    fs::create_dir(path("directory")).unwrap();
    // Nobody reads it.
    mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    for name in ["link", "dangling", "directory", "fifo"] {
        let path = path(name);
        let found = without_waiting(name, move || private::lock_file(&path));
        assert!(found.is_err(), "{name}");
    }
    assert_eq!((fs::read(path("target")).unwrap(), mode(&path("target"))), (b"words".to_vec(), 0o644));
    assert!(!path("missing").exists());
}
