//! The servers on other machines that this user's clients know, in a text file of the user's: a line for each, with
//! its address and the fingerprint of its root.
//!
//! A line that is not understood is an error, and so is a file that others can change: a server that is known must
//! not become an unknown one, about which the user is asked anew, because of a slip.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;

use thiserror::Error;
use transport::tls::RootFingerprint;
use transport::{Endpoint, HostPort};

use crate::platform::{self, HOME_VARIABLE};
use crate::private_files::{self, FileFault};

const FILE: &str = "known_servers";
const LOCK_FILE: &str = ".known_servers.lock";
/// Larger files are none of ours, in bytes: some 10,000 servers.
const MAX_FILE_SIZE: u64 = 1024 * 1024;
/// What a new file begins with.
const HEADER: &str = "\
# The servers on other machines that multipass knows. A line has an address and the fingerprint of the root there,
# as `multipassd fingerprint` prints it on that machine. Without its line, a server is unknown again.
";

/// Why it is not known whether a server is known.
#[derive(Debug, Error)]
pub(crate) enum KnownServersFault {
    /// The environment does not tell where the user's files are.
    #[error("cannot tell where your known servers belong: {HOME_VARIABLE} is not set")]
    NoHome,
    /// Root was pointed at a directory that another user has in his hands.
    #[error("{} is not root's to keep known servers in", .0.display())]
    NotOwn(PathBuf),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileFault),
    /// Somebody else may have written there.
    #[error("other users can change the list of known servers, {}", .0.display())]
    OpenToOthers(PathBuf),
    /// Another program of the user's has written another fingerprint while the user was asked about this one.
    #[error("meanwhile {endpoint} became known by another fingerprint, in line {line} of {path}", path = path.display())]
    Contradicted {
        /// The server.
        endpoint: Endpoint,
        /// The file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: usize,
    },
    /// A line says nothing, or something other than the lines before it.
    #[error("line {line} of the list of known servers, {path}, {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What another fingerprint means that a server is known by already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// That it is replaced: the user has named the new one on purpose.
    IsReplaced,
    /// That something is wrong: the user was asked about a server that was not known.
    Contradicts,
}

impl KnownServersFault {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::NoHome => format!("Set {HOME_VARIABLE} to your home directory."),
            Self::NotOwn(_) => format!(
                "Run the command without sudo; or, as root, set {HOME_VARIABLE} to root's own home directory: \
                 `sudo -H`."
            ),
            Self::File(fault) => fault.next_step(),
            Self::OpenToOthers(path) => {
                format!(
                    "See that its lines are yours, then run `{}`.",
                    platform::closing(&path.display().to_string())
                )
            }
            Self::Contradicted { .. } => "Run the command again, and compare what the line says with what \
                `multipassd fingerprint` prints on the service's machine."
                .to_owned(),
            Self::Damaged { .. } => {
                "Mend the line, or delete it: the server that it is about is then unknown again.".to_owned()
            }
        }
    }
}

/// The user's list.
#[derive(Debug)]
pub(crate) struct KnownServers {
    directory: PathBuf,
}

/// What is known of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its root's fingerprint.
    pub(crate) fingerprint: RootFingerprint,
    /// The line that says so; the first is 1.
    pub(crate) line: usize,
}

impl KnownServers {
    /// The current user's list; nothing is read or created yet.
    ///
    /// # Errors
    /// The environment does not tell where it is, or leads root to where another user decides whom root trusts.
    pub(crate) fn of_user() -> Result<Self, KnownServersFault> {
        let directory = platform::own_directory().ok_or(KnownServersFault::NoHome)?;
        if !platform::is_own(&directory) {
            return Err(KnownServersFault::NotOwn(directory));
        }
        Ok(Self { directory })
    }

    /// The list's file, which may not exist.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// What is known of the server at `endpoint`.
    ///
    /// # Errors
    /// The list cannot be read, or cannot be relied upon.
    pub(crate) fn find(&self, endpoint: &Endpoint) -> Result<Option<Known>, KnownServersFault> {
        self.find_in(&self.read()?, endpoint)
    }

    /// Knows the server at `endpoint` by `fingerprint` from now on. What other lines say stays as it is. Returns
    /// whether that is new.
    ///
    /// # Errors
    /// The list cannot be relied upon, contradicts, or cannot be written; it is as it was then.
    pub(crate) fn remember(
        &self,
        endpoint: &Endpoint,
        fingerprint: RootFingerprint,
        earlier: Earlier,
    ) -> Result<bool, KnownServersFault> {
        if self.find(endpoint)?.is_some_and(|known| known.fingerprint == fingerprint) {
            return Ok(false);
        }
        private_files::create_directory(&self.directory)
            .map_err(FileFault::io("create the directory", &self.directory))?;
        let lock = self.directory.join(LOCK_FILE);
        let _held = private_files::lock(&lock)?;
        let before = self.read()?;
        let known = self.find_in(&before, endpoint)?;
        if let (Earlier::Contradicts, Some(known)) = (earlier, &known)
            && known.fingerprint != fingerprint
        {
            let (endpoint, path, line) = (endpoint.clone(), self.file(), known.line);
            return Err(KnownServersFault::Contradicted { endpoint, path, line });
        }
        let entry = format!("{} {fingerprint}", normalized(endpoint));
        let mut lines: Vec<&str> =
            if before.is_empty() { HEADER.lines().collect() } else { before.lines().collect() };
        match known.and_then(|known| lines.get_mut(known.line.saturating_sub(1))) {
            Some(line) => *line = &entry,
            None => lines.push(&entry),
        }
        private_files::replace(&self.directory, FILE, (lines.join("\n") + "\n").as_bytes())
            .map_err(FileFault::io("write", &self.file()))?;
        Ok(true)
    }

    /// The list's text; empty if there is none.
    fn read(&self) -> Result<String, KnownServersFault> {
        let path = self.file();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(FileFault::io("read", &path)(error).into()),
        };
        if platform::others_may_change(&file).map_err(FileFault::io("read", &path))? {
            return Err(KnownServersFault::OpenToOthers(path));
        }
        let mut text = String::new();
        let length =
            file.take(MAX_FILE_SIZE + 1).read_to_string(&mut text).map_err(FileFault::io("read", &path))?;
        if length as u64 > MAX_FILE_SIZE {
            let long = io::Error::other(format!("it is longer than {MAX_FILE_SIZE} bytes"));
            return Err(FileFault::io("read", &path)(long).into());
        }
        Ok(text)
    }

    /// What `text` says of the server at `endpoint`. All of it has to be understood.
    fn find_in(&self, text: &str, endpoint: &Endpoint) -> Result<Option<Known>, KnownServersFault> {
        let endpoint = normalized(endpoint);
        let mut found = None;
        for (line, content) in (1..).zip(text.lines()) {
            let damaged = |what| KnownServersFault::Damaged { path: self.file(), line, what };
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let Some((address, fingerprint)) = content.split_once(char::is_whitespace) else {
                return Err(damaged("is no address and fingerprint"));
            };
            let address: Endpoint = address.parse().map_err(|_| damaged("begins with no address"))?;
            let fingerprint =
                fingerprint.trim_start().parse().map_err(|_| damaged("ends with no fingerprint"))?;
            if normalized(&address) != endpoint {
                continue;
            }
            if found.replace(Known { fingerprint, line }).is_some() {
                return Err(damaged("is about the same server as a line before it"));
            }
        }
        Ok(found)
    }
}

/// The one way to write an address, of those that surely mean the same.
fn normalized(endpoint: &Endpoint) -> Endpoint {
    let host_port = |at: &HostPort| {
        let host = match at.host.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => at.host.to_ascii_lowercase(),
        };
        HostPort::new(&host, at.port)
    };
    match endpoint {
        Endpoint::Tcp(at) => Endpoint::Tcp(host_port(at)),
        Endpoint::Quic(at) => Endpoint::Quic(host_port(at)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    fn fingerprint(text: &str) -> RootFingerprint {
        text.parse().expect(text)
    }

    fn at(address: &str) -> Endpoint {
        address.parse().expect(address)
    }

    struct Fixture {
        _home: tempfile::TempDir,
        known: KnownServers,
    }

    /// A list with that text, or none yet.
    fn list(text: Option<&str>) -> Fixture {
        let home = tempfile::tempdir().expect("a directory");
        let known = KnownServers { directory: home.path().join("share/ours") };
        if let Some(text) = text {
            private_files::create_directory(&known.directory).expect("made");
            private_files::replace(&known.directory, FILE, text.as_bytes()).expect("written");
        }
        Fixture { _home: home, known }
    }

    impl Fixture {
        fn find(&self, address: &str) -> Option<(String, usize)> {
            let known = self.known.find(&at(address)).expect(address)?;
            Some((known.fingerprint.to_string(), known.line))
        }

        fn text(&self) -> String {
            fs::read_to_string(self.known.file()).expect("a list")
        }
    }

    #[test]
    fn looking_creates_nothing() {
        let fixture = list(None);
        assert_eq!(fixture.find("a.example:1"), None);
        assert!(!fixture.known.directory.exists());
    }

    #[test]
    fn what_is_remembered_is_found_and_the_rest_stays() {
        let fixture = list(None);
        for (address, fingerprint) in
            [("a.example:1", ONE), ("quic:a.example:1", TWO), ("[2001:DB8::1]:5", TWO)]
        {
            fixture
                .known
                .remember(&at(address), self::fingerprint(fingerprint), Earlier::IsReplaced)
                .expect("written");
        }
        assert_eq!(
            fixture.text(),
            format!("{HEADER}a.example:1 {ONE}\nquic:a.example:1 {TWO}\n[2001:db8::1]:5 {TWO}\n")
        );
        assert_eq!(fixture.find("a.example:1"), Some((ONE.to_owned(), 3)));
        assert_eq!(fixture.find("tcp://A.Example:1"), Some((ONE.to_owned(), 3)));
        assert_eq!(fixture.find("quic:a.example:1"), Some((TWO.to_owned(), 4)));
        assert_eq!(fixture.find("[2001:db8:0::1]:5"), Some((TWO.to_owned(), 5)));
        for other in ["a.example:2", "b.a.example:1", "example:1", "quic:[2001:db8::1]:5"] {
            assert_eq!(fixture.find(other), None, "{other}");
        }

        let text = format!("# mine\n\n  tcp:b:2\t SHA256:{ONE} \r\n\n #c:3 is gone\n");
        let fixture = list(Some(&text));
        assert_eq!(fixture.find("b:2"), Some((ONE.to_owned(), 3)));
        assert_eq!(fixture.find("c:3"), None);
        fixture.known.remember(&at("B:2"), self::fingerprint(TWO), Earlier::IsReplaced).expect("written");
        assert_eq!(fixture.text(), format!("# mine\n\nb:2 {TWO}\n\n #c:3 is gone\n"));
        // Without a last newline.
        let fixture = list(Some(&format!("b:2 {ONE}")));
        fixture.known.remember(&at("c:3"), self::fingerprint(TWO), Earlier::IsReplaced).expect("written");
        assert_eq!(fixture.text(), format!("b:2 {ONE}\nc:3 {TWO}\n"));
    }

    #[test]
    fn what_became_known_while_the_user_was_asked_stays() {
        let fixture = list(Some(&format!("b:2 {ONE}\n")));
        let remember = |fingerprint: &str| {
            fixture.known.remember(&at("b:2"), self::fingerprint(fingerprint), Earlier::Contradicts)
        };
        assert!(!remember(ONE).expect("the same"));
        let fault = remember(TWO).expect_err("another one");
        assert!(matches!(fault, KnownServersFault::Contradicted { line: 1, .. }), "{fault:?}");
        assert_eq!(fixture.text(), format!("b:2 {ONE}\n"));
    }

    #[test]
    fn what_is_not_understood_is_named_and_stays() {
        let good = format!("good:1 {ONE}\n");
        for (damage, line, what) in [
            ("b:2", 2, "no address and fingerprint"),
            (&format!("b:2{ONE}"), 2, "no address and fingerprint"),
            (&format!("b {ONE}"), 2, "no address"),
            (&format!("http://b:2 {ONE}"), 2, "no address"),
            (&format!("{ONE} b:2"), 2, "no address"),
            (&format!("b:2 {}", &ONE[1..]), 2, "no fingerprint"),
            (&format!("b:2 {ONE} # office"), 2, "no fingerprint"),
            (&format!("\nGOOD:1 {ONE}"), 3, "the same server"),
            (&format!("\n\ngood:1 {TWO}"), 4, "the same server"),
            (&format!("\u{feff}b:2 {ONE}"), 2, "no address"),
        ] {
            let fixture = list(Some(&format!("{good}{damage}\n")));
            let before = fixture.text();
            for fault in [
                fixture.known.find(&at("good:1")).expect_err(damage),
                fixture
                    .known
                    .remember(&at("good:1"), fingerprint(TWO), Earlier::IsReplaced)
                    .expect_err(damage),
            ] {
                let text = fault.to_string();
                assert!(text.contains(&format!("line {line} of")) && text.contains(what), "{damage}: {text}");
                assert!(text.contains(FILE), "{text}");
            }
            assert_eq!(fixture.text(), before);
        }
    }

    #[test]
    fn what_is_no_text_or_too_long_is_not_read() {
        let fixture = list(Some(""));
        fs::write(fixture.known.file(), b"b:2 \xff").expect("written");
        assert!(matches!(
            fixture.known.find(&at("b:2")),
            Err(KnownServersFault::File(FileFault::Io { step: "read", .. }))
        ));
        let comment = format!("#{}\n", "x".repeat(usize::try_from(MAX_FILE_SIZE).expect("a size") - 2));
        fs::write(fixture.known.file(), &comment).expect("written");
        assert_eq!(fixture.find("b:2"), None);
        fs::write(fixture.known.file(), format!("{comment}\n")).expect("written");
        assert!(matches!(
            fixture.known.find(&at("b:2")),
            Err(KnownServersFault::File(FileFault::Io { step: "read", .. }))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn the_list_is_its_owner_s() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let fixture = list(None);
        fixture.known.remember(&at("b:2"), fingerprint(ONE), Earlier::IsReplaced).expect("written");
        let mode =
            |path: &std::path::Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o7777;
        assert_eq!(mode(&fixture.known.directory), 0o700);
        for name in [FILE, LOCK_FILE] {
            assert_eq!(mode(&fixture.known.directory.join(name)), 0o600, "{name}");
        }
        assert_eq!(
            fs::read_dir(&fixture.known.directory).expect("readable").count(),
            2,
            "nothing is left over"
        );

        let file = fixture.known.file();
        for (mode, good) in [(0o600, true), (0o644, true), (0o400, true), (0o620, false), (0o602, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
            let found = fixture.known.find(&at("b:2"));
            assert_eq!(found.is_ok(), good, "{mode:o}");
            if let Err(fault) = found {
                assert!(matches!(fault, KnownServersFault::OpenToOthers(_)), "{fault}");
                assert!(fault.next_step().contains("chmod 600"), "{}", fault.next_step());
                assert!(
                    fixture.known.remember(&at("b:2"), fingerprint(TWO), Earlier::IsReplaced).is_err(),
                    "{mode:o}"
                );
            }
        }
        if platform::is_root() {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
            chown(&file, Some(65534), None).expect("given");
            assert!(matches!(fixture.known.find(&at("b:2")), Err(KnownServersFault::OpenToOthers(_))));
        }
    }

    #[test]
    fn clients_that_remember_at_once_lose_nothing() {
        let fixture = list(None);
        let known = &fixture.known;
        thread::scope(|scope| {
            for port in 1..=16 {
                scope.spawn(move || {
                    known
                        .remember(&at(&format!("b:{port}")), fingerprint(ONE), Earlier::Contradicts)
                        .expect("written")
                });
            }
        });
        for port in 1..=16 {
            assert!(fixture.find(&format!("b:{port}")).is_some(), "{port}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_written_is_as_it_was() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("file");
        fs::write(&file, "").expect("written");
        let known = KnownServers { directory: file.join("below") };
        let fault =
            known.remember(&at("b:2"), fingerprint(ONE), Earlier::Contradicts).expect_err("no directory");
        assert!(matches!(fault, KnownServersFault::File(FileFault::Io { .. })), "{fault}");
        // A directory in the place of the list cannot be replaced.
        let fixture = list(None);
        fs::create_dir_all(fixture.known.file()).expect("made");
        let fault =
            fixture.known.remember(&at("b:2"), fingerprint(ONE), Earlier::IsReplaced).expect_err("no file");
        assert!(fault.to_string().contains(FILE), "{fault}");
    }
}
