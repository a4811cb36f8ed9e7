//! The socket's file: whom it lets through at each moment, and whose place it may take.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Uid;
use tokio::time::Instant;
use transport::testkit::{alone, is_root, run};
use transport::{Endpoint, ListenError, Listener};
use transport_unix::{SocketAccess, UnixListener};

use crate::support::{NOBODY, Place, Stranger, Unprivileged, access, set_mode};

/// Debian's `sudo`.
const SUDO: u32 = 27;

async fn close(listener: UnixListener) {
    Box::new(listener).close(Instant::now()).await;
}

#[test]
fn a_socket_belongs_to_its_user_alone_unless_asked() {
    run(async {
        let place = Place::new();
        let listener = place.bind(SocketAccess::default()).await.unwrap();
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        assert_eq!(access(&place.socket()), Some((uid, gid, 0o600)));
        assert_eq!(access(&place.lock()), Some((uid, gid, 0o600)));
        assert_eq!(listener.endpoints(), [place.endpoint()]);
        close(listener).await;
        assert_eq!(access(&place.socket()), None);
    });
}

/// The mode is what the kernel goes by: each is tried by a stranger and by a member of the group.
#[test]
fn the_socket_lets_through_whom_it_is_for() {
    if !is_root("the_socket_lets_through_whom_it_is_for") {
        return;
    }
    const DENIED: &str = "Permission denied";
    const CONNECTED: &str = "connected";
    let expected = |access| match access {
        SocketAccess::Private => (0o600, DENIED, DENIED),
        SocketAccess::Group(_) => (0o660, DENIED, CONNECTED),
        SocketAccess::Everyone => (0o666, CONNECTED, CONNECTED),
    };
    let accesses = [SocketAccess::Private, SocketAccess::Group(SUDO), SocketAccess::Everyone];
    run(async {
        for first in accesses {
            let place = Place::new();
            let listener = place.bind(first).await.unwrap();
            let gate = listener.gate();
            let bound = access(&place.socket());
            // Once more what it is, then every change to every other.
            for (step, now) in
                [first].into_iter().chain(accesses).chain(accesses.into_iter().rev()).enumerate()
            {
                gate.set(now).unwrap();
                if step == 0 {
                    assert_eq!(access(&place.socket()), bound, "{now:?}");
                }
                let (mode, stranger, member) = expected(now);
                let (uid, gid, found) = access(&place.socket()).unwrap();
                assert_eq!((uid, found), (0, mode), "{now:?}");
                match now {
                    SocketAccess::Group(group) => assert_eq!(gid, group),
                    SocketAccess::Everyone => assert_eq!(gid, 0),
                    // Its owner is left as it is.
                    _ => {}
                }
                assert_eq!(Stranger::connect(&place.socket(), &[]).answer, stranger, "{now:?}");
                assert_eq!(Stranger::connect(&place.socket(), &[SUDO]).answer, member, "{now:?}");
            }
        }
    });
}

/// From the first moment of its file on: nobody may connect before the daemon is ready to judge.
#[test]
fn the_socket_is_never_wider_than_asked() {
    if !is_root("the_socket_is_never_wider_than_asked") {
        return;
    }
    // The umask is the whole process's.
    alone(concat!(module_path!(), "::the_socket_is_never_wider_than_asked"), || {
        umask(Mode::empty());
        let place = Place::new();
        let (socket, done) = (place.socket(), AtomicBool::new(false));
        let seen = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut seen = BTreeSet::new();
                while !done.load(Ordering::Relaxed) {
                    seen.extend(access(&socket));
                }
                seen
            });
            run(async {
                for _ in 0..300 {
                    close(place.bind(SocketAccess::Group(SUDO)).await.unwrap()).await;
                }
            });
            done.store(true, Ordering::Relaxed);
            watcher.join().unwrap()
        });
        assert!(!seen.is_empty());
        let allowed = BTreeSet::from([(0, 0, 0o600), (0, SUDO, 0o600), (0, SUDO, 0o660)]);
        let wider: Vec<String> =
            seen.difference(&allowed).map(|(uid, gid, mode)| format!("{uid}:{gid} {mode:o}")).collect();
        assert!(wider.is_empty(), "seen: {wider:?}");
    });
}

#[test]
fn an_owner_that_cannot_be_set_is_an_error_and_leaves_nothing() {
    run(async {
        let place = Place::new();
        // Writable for nobody too, who may not replace what is another's in it.
        set_mode(place.directory(), 0o1777);
        let _unprivileged = Unprivileged::new();
        match place.bind(SocketAccess::Everyone).await {
            Err(ListenError::Io { step: "set the owner and mode of", path, .. }) => {
                assert_eq!(path, place.socket())
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(access(&place.socket()), None);
        // Nor the lock: the next attempt is not kept from it.
        let again = place.bind(SocketAccess::Everyone).await;
        assert!(matches!(again, Err(ListenError::Io { step: "set the owner and mode of", .. })), "{again:?}");
    });
}

/// In which order the steps are taken shows when the second one fails.
#[test]
fn between_its_steps_the_gate_is_neither_too_wide_nor_too_narrow() {
    run(async {
        let place = Place::new();
        // Writable for nobody too, who may not replace what is another's in it.
        set_mode(place.directory(), 0o1777);
        let _unprivileged = Unprivileged::new();
        let listener = place.bind(SocketAccess::Private).await.unwrap();
        let failed = |from, to| {
            set_mode(&place.socket(), from);
            assert!(listener.gate().set(to).is_err(), "only root sets the owner");
            access(&place.socket()).unwrap().2
        };
        // Whom the group excludes is out before it is set, and nobody is in before.
        assert_eq!(failed(0o666, SocketAccess::Group(SUDO)), 0o600);
        assert_eq!(failed(0o600, SocketAccess::Group(SUDO)), 0o600);
        // A member of the group stays in while everyone is let in.
        assert_eq!(failed(0o660, SocketAccess::Everyone), 0o666);
    });
}

#[test]
fn a_directory_of_another_user_is_refused() {
    run(async {
        let place = Place::new();
        if !Uid::effective().is_root() {
            return transport::testkit::skip("needs root, to make a directory of another user");
        }
        chown(place.directory(), Some(NOBODY), None).unwrap();
        let result = place.bind(SocketAccess::Private).await;
        assert!(matches!(&result, Err(ListenError::DirectoryOfAnother(path)) if path == place.directory()));
        assert_eq!(access(&place.socket()), None);
    });
}

/// A FIFO with the lock's name would hold up whoever opens it.
#[test]
fn a_fifo_for_a_lock_is_an_error() {
    run(async {
        let place = Place::new();
        let lock = place.directory().join(format!("{}.lock", place.socket().file_name().unwrap().display()));
        nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let result = place.bind(SocketAccess::Private).await;
        assert!(
            matches!(&result, Err(ListenError::Io { step: "lock", path, .. }) if *path == lock),
            "{result:?}"
        );
    });
}

#[test]
fn running_out_of_descriptors_leaves_nothing() {
    alone(concat!(module_path!(), "::running_out_of_descriptors_leaves_nothing"), || {
        run(async {
            let place = Place::new();
            let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, 64, most).unwrap();
            // At each number of descriptors left, another step is the first to fail.
            for left in 0.. {
                let mut others = Vec::new();
                while let Ok(file) = File::open("/dev/null") {
                    others.push(file);
                }
                others.truncate(others.len() - left);
                match place.bind(SocketAccess::Private).await {
                    Ok(listener) => {
                        assert!(left >= 3, "a directory, a lock and a socket");
                        close(listener).await;
                        break;
                    }
                    Err(ListenError::Io { source, .. }) => {
                        assert_eq!(source.raw_os_error(), Some(nix::libc::EMFILE));
                        assert_eq!(access(&place.socket()), None, "{left} left");
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    });
}

#[test]
fn the_second_daemon_finds_the_first() {
    run(async {
        let place = Place::new();
        let listener = place.bind(SocketAccess::Private).await.unwrap();
        let inode = std::fs::metadata(place.socket()).unwrap().ino();
        let second = place.bind(SocketAccess::Private).await;
        assert!(matches!(second, Err(ListenError::InUse(at)) if at == place.endpoint()));
        assert_eq!(std::fs::metadata(place.socket()).unwrap().ino(), inode);
        // By the lock alone: it is held as long as the daemon lives, whether or not it answers.
        std::fs::remove_file(place.socket()).unwrap();
        let third = place.bind(SocketAccess::Private).await;
        assert!(matches!(third, Err(ListenError::InUse(at)) if at == place.endpoint()));
        close(listener).await;
        place.bind(SocketAccess::Private).await.unwrap();
    });
}

/// Between binding and listening a socket refuses connections like a stale one. The lock tells.
#[test]
fn a_daemon_that_does_not_listen_yet_is_not_taken_for_a_dead_one() {
    run(async {
        let place = Place::new();
        place.leave_stale_socket();
        let inode = std::fs::metadata(place.socket()).unwrap().ino();
        let lock = File::create(place.lock()).unwrap();
        lock.lock().unwrap();
        let second = place.bind(SocketAccess::Private).await;
        assert!(matches!(second, Err(ListenError::InUse(at)) if at == place.endpoint()));
        assert_eq!(std::fs::metadata(place.socket()).unwrap().ino(), inode);
    });
}

/// The stock daemon knows nothing of the lock.
#[test]
fn a_daemon_without_the_lock_is_known_by_its_answering() {
    run(async {
        let place = Place::new();
        let stock = StdListener::bind(place.socket()).unwrap();
        let second = place.bind(SocketAccess::Private).await;
        assert!(matches!(second, Err(ListenError::InUse(at)) if at == place.endpoint()));
        StdStream::connect(place.socket()).expect("its socket should still be there");
        drop(stock);
    });
}

/// Only a refusal says that nobody listens; no answer at all may be a daemon's too.
#[test]
fn a_socket_that_cannot_be_asked_is_left_alone() {
    run(async {
        let place = Place::new();
        // Writable for nobody too, who may not replace what is another's in it.
        set_mode(place.directory(), 0o1777);
        let _unprivileged = Unprivileged::new();
        let _daemon = StdListener::bind(place.socket()).unwrap();
        set_mode(&place.socket(), 0);
        match place.bind(SocketAccess::Private).await {
            Err(ListenError::Io { step: "find out who listens on", path, .. }) => {
                assert_eq!(path, place.socket());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(access(&place.socket()).unwrap().2, 0);
    });
}

#[test]
fn what_a_dead_daemon_left_is_taken_over() {
    run(async {
        let place = Place::new();
        place.leave_stale_socket();
        std::fs::write(place.lock(), "").unwrap();
        let first = place.bind(SocketAccess::Private).await.unwrap();
        StdStream::connect(place.socket()).unwrap();
        // Ours, if it ends without closing.
        drop(first);
        let _second = place.bind(SocketAccess::Private).await.unwrap();
        StdStream::connect(place.socket()).unwrap();
    });
}

#[test]
fn what_is_no_socket_is_left_alone() {
    run(async {
        let place = Place::new();
        let is_left_alone = async || {
            let bound = place.bind(SocketAccess::Private).await;
            assert!(matches!(bound, Err(ListenError::NotASocket(path)) if path == place.socket()));
        };

        std::fs::write(place.socket(), "precious").unwrap();
        is_left_alone().await;
        assert_eq!(std::fs::read(place.socket()).unwrap(), b"precious");
        std::fs::remove_file(place.socket()).unwrap();

        // Also if it leads to a stale socket.
        let target = place.directory().join("target");
        drop(StdListener::bind(&target).unwrap());
        symlink(&target, place.socket()).unwrap();
        is_left_alone().await;
        assert_eq!(std::fs::read_link(place.socket()).unwrap(), target);
        assert!(access(&target).is_some());
        std::fs::remove_file(place.socket()).unwrap();

        std::fs::create_dir(place.socket()).unwrap();
        is_left_alone().await;
        assert!(std::fs::metadata(place.socket()).unwrap().is_dir());
    });
}

/// A lock file in a directory that others may write to could lead anywhere.
#[test]
fn a_lock_that_is_a_symlink_is_not_followed() {
    run(async {
        let place = Place::new();
        let target = place.directory().join("target");
        symlink(&target, place.lock()).unwrap();
        match place.bind(SocketAccess::Private).await {
            Err(ListenError::Io { step: "lock", path, .. }) => assert_eq!(path, place.lock()),
            other => panic!("{other:?}"),
        }
        assert_eq!(access(&target), None);
    });
}

#[test]
fn a_directory_in_which_others_could_replace_the_socket_is_refused() {
    run(async {
        let place = Place::new();
        for (mode, fine) in [
            (0o700, true),
            (0o755, true),
            (0o775, false),
            (0o757, false),
            (0o777, false),
            (0o1777, true),
            (0o1775, true),
        ] {
            set_mode(place.directory(), mode);
            match place.bind(SocketAccess::Private).await {
                Ok(listener) if fine => close(listener).await,
                Err(ListenError::DirectoryWritableByOthers(path)) if !fine => {
                    assert_eq!(path, place.directory());
                    assert_eq!(access(&place.socket()), None);
                }
                other => panic!("{mode:o}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_directory_that_does_not_exist_is_an_error() {
    run(async {
        let place = Place::new();
        let at = Endpoint::Unix(place.directory().join("missing").join("socket"));
        let bound = transport_unix::UnixTransport::default().bind(&at, place.server.tls()).await;
        match bound {
            Err(ListenError::Io { step: "use the directory", path, .. }) => {
                assert_eq!(path, place.directory().join("missing"));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_socket_that_took_our_place_is_left_to_its_owner() {
    run(async {
        let place = Place::new();
        let listener = place.bind(SocketAccess::Private).await.unwrap();
        std::fs::remove_file(place.socket()).unwrap();
        let _other = StdListener::bind(place.socket()).unwrap();
        let inode = std::fs::metadata(place.socket()).unwrap().ino();
        close(listener).await;
        assert_eq!(std::fs::metadata(place.socket()).unwrap().ino(), inode);
    });
}

/// The gate opens our socket or nothing, whatever has its name by now.
#[test]
fn the_gate_cannot_be_led_elsewhere() {
    run(async {
        let place = Place::new();
        let listener = place.bind(SocketAccess::Private).await.unwrap();
        let (moved, victim) = (place.directory().join("moved"), place.directory().join("victim"));
        std::fs::rename(place.socket(), &moved).unwrap();
        std::fs::write(&victim, "secret").unwrap();
        set_mode(&victim, 0o640);
        set_mode(&moved, 0o640);
        symlink(&victim, place.socket()).unwrap();
        for _ in ["a link", "nothing"] {
            listener.gate().set(SocketAccess::Private).unwrap_err();
            assert_eq!([&moved, &victim].map(|file| access(file).unwrap().2), [0o640, 0o640]);
            let _ = std::fs::remove_file(place.socket());
        }
        // Nor does another socket do.
        let _other = StdListener::bind(place.socket()).unwrap();
        set_mode(&place.socket(), 0o640);
        listener.gate().set(SocketAccess::Private).unwrap_err();
        assert_eq!(access(&place.socket()).unwrap().2, 0o640);
        close(listener).await;
        assert!(access(&place.socket()).is_some());
    });
}

/// Who owns a directory further up can put another in the place of the socket's, at any moment.
#[test]
fn another_directory_on_the_path_is_not_the_sockets() {
    run(async {
        let place = Place::new();
        let (directory, moved) = (place.directory().join("directory"), place.directory().join("moved"));
        std::fs::create_dir(&directory).unwrap();
        let at = Endpoint::Unix(directory.join("socket"));
        let listener = transport_unix::UnixTransport::default().bind(&at, place.server.tls()).await.unwrap();
        std::fs::rename(&directory, &moved).unwrap();
        std::fs::create_dir(&directory).unwrap();
        let _other = StdListener::bind(directory.join("socket")).unwrap();
        for socket in [&directory, &moved].map(|directory| directory.join("socket")) {
            set_mode(&socket, 0o640);
        }
        listener.gate().set(SocketAccess::Private).unwrap();
        assert_eq!(access(&moved.join("socket")).unwrap().2, 0o600);
        assert_eq!(access(&directory.join("socket")).unwrap().2, 0o640);
        close(listener).await;
        assert_eq!(access(&moved.join("socket")), None);
        assert!(access(&directory.join("socket")).is_some());
    });
}
