//! A place for a socket, and strangers who connect to it.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, setfsuid};
use transport::testkit::certificates::TestServer;
use transport::{Endpoint, ListenError};
use transport_unix::{SocketAccess, UnixListener, UnixTransport};

/// Debian's `nobody`; any user but root does.
pub(crate) const NOBODY: u32 = 65534;

/// A directory that everyone may enter, with nothing in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    pub(crate) server: TestServer,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap(), server: TestServer::generate() };
        set_mode(place.directory(), 0o755);
        place
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory().join("socket")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.directory().join("socket.lock")
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.socket())
    }

    pub(crate) async fn bind(&self, access: SocketAccess) -> Result<UnixListener, ListenError> {
        UnixTransport::new(access).bind(&self.endpoint(), self.server.tls()).await
    }

    /// What a daemon leaves behind that was killed.
    pub(crate) fn leave_stale_socket(&self) {
        drop(std::os::unix::net::UnixListener::bind(self.socket()).unwrap());
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Owner, group and mode of a file, or nothing where there is none.
pub(crate) fn access(path: &Path) -> Option<(u32, u32, u32)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777))
}

/// This thread, without root's rights over files until the value is dropped. No effect for others.
pub(crate) struct Unprivileged(Uid);

impl Unprivileged {
    pub(crate) fn new() -> Self {
        // With a file-system user other than root the kernel also takes the capabilities over files
        // away (capabilities(7)), from this one thread.
        Self(if Uid::effective().is_root() { setfsuid(Uid::from_raw(NOBODY)) } else { Uid::effective() })
    }
}

impl Drop for Unprivileged {
    fn drop(&mut self) {
        setfsuid(self.0);
    }
}

/// A process of another user that is connected to a socket, or was refused.
pub(crate) struct Stranger {
    process: Child,
    pub(crate) answer: String,
}

impl Stranger {
    /// Connects to `socket` with [`NOBODY`] as user and group, and these supplementary groups. The
    /// kernel completes the connection before anybody accepts it.
    pub(crate) fn connect(socket: &Path, groups: &[u32]) -> Self {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let groups = match groups.as_slice() {
            [] => "--clear-groups".to_owned(),
            some => format!("--groups={}", some.join(",")),
        };
        let mut process = Command::new("setpriv")
            .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), &groups])
            .args(["perl", "-MSocket", "-e"])
            .arg(
                "$| = 1; socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die;
                 print connect($socket, pack_sockaddr_un($ARGV[0])) ? qq(connected\n) : qq($!\n);
                 <STDIN>",
            )
            .arg(socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv (util-linux) and perl should be installed");
        let mut answer = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        Self { process, answer: answer.trim_end().to_owned() }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().try_into().unwrap()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // Its wait for a line ends with the pipe.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
