//! Files of others, opened by the real program as their users.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use daemon::open_file::{Credentials, OpenError, Opener, Refusal};
use nix::unistd::geteuid;
use transport::testkit::skip;

/// Somebody with one more group.
const USER: u32 = 4001;
const GROUP: u32 = 4242;

fn opener() -> Opener {
    Opener::with(env!("CARGO_BIN_EXE_multipassd").into())
}

/// What was read, or why nothing was.
async fn read(uid: u32, path: &Path) -> Result<String, Refusal> {
    let credentials = Credentials { uid, gid: uid, groups: vec![GROUP] };
    let mut file = match opener().open(credentials, path).await {
        Ok(file) => file,
        Err(OpenError::Refused(why)) => return Err(why),
        Err(error) => panic!("{error}"),
    };
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    Ok(text)
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let own = geteuid().as_raw();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("file"), "text").unwrap();
    fs::create_dir(path("folder")).unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    symlink("file", path("link")).unwrap();
    for name in ["file", "link"] {
        assert_eq!(read(own, &path(name)).await.unwrap(), "text", "{name}");
    }
    for other in [path("folder"), path("pipe"), path("socket"), "/dev/null".into()] {
        let refused = read(own, &other).await;
        assert!(matches!(refused, Err(Refusal::NotAFile)), "{}: {refused:?}", other.display());
    }
    for missing in [path("none"), path("file/none"), "file".into(), "".into()] {
        let refused = read(own, &missing).await;
        assert!(matches!(refused, Err(Refusal::NotFound)), "{}: {refused:?}", missing.display());
    }
}

#[tokio::test]
async fn a_file_is_opened_with_its_callers_rights_and_no_others() {
    if !geteuid().is_root() {
        return skip("needs root, to act as several users");
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let place = |name: &str, uid: u32, gid: u32, mode: u32| {
        let path = directory.path().join(name);
        fs::write(&path, name).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let closed = place("closed", 0, 0, 0o600);
    let link = directory.path().join("link");
    symlink(&closed, &link).unwrap();
    for (path, user_may) in [
        (place("own", USER, USER, 0o400), true),
        (place("of-group", 0, USER, 0o040), true),
        (place("of-further-group", 0, GROUP, 0o040), true),
        (place("of-all", 0, 0, 0o004), true),
        (place("of-roots-group", 0, 0, 0o040), false),
        (closed, false),
        (link, false),
    ] {
        assert!(read(0, &path).await.is_ok(), "{}", path.display());
        match read(USER, &path).await {
            Ok(_) => assert!(user_may, "{}", path.display()),
            Err(Refusal::NotPermitted { uid: USER }) => assert!(!user_may, "{}", path.display()),
            Err(other) => panic!("{}: {other}", path.display()),
        }
    }
}

#[tokio::test]
async fn a_program_that_does_not_answer_is_a_failure() {
    for program in ["/nonexistent", "/bin/false"] {
        let credentials = Credentials { uid: 0, gid: 0, groups: Vec::new() };
        let failed = Opener::with(program.into()).open(credentials, Path::new("/etc/passwd")).await;
        assert!(matches!(failed, Err(OpenError::Failed(_))), "{failed:?}");
    }
}
