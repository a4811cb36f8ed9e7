//! Remotes: services that the user calls by a name, in a text file of the user's, a line for each with its name, the
//! fingerprint of its root and its address. What a remote has to prove itself by is in its line and nowhere else.
//!
//! All of the file has to be understood: a command must not go to another service than the one meant because of a
//! slip.

use std::path::PathBuf;
use std::str::FromStr;
use std::{fmt, io};

use thiserror::Error;
use transport::Endpoint;
use transport::tls::RootFingerprint;

use crate::connection::transports;
use crate::files::list::{self, Kind, ListFault, ListFile};
use crate::platform;

const KIND: Kind = Kind {
    file: "remotes",
    entries: "remotes",
    header: "\
# The services that multipass calls by a name. A line has the name, the fingerprint of the root there, and the address.
# The fingerprint is - where the system's own root certificate counts. `multipass remote` writes it.
",
};
/// Begins the line that tells which remote is the default. No name has a colon.
const DEFAULT: &str = "default:";
/// Stands for a fingerprint where there is none.
const NO_FINGERPRINT: &str = "-";
/// The remote that is always there: this machine's own service, at its usual address.
const LOCAL: &str = "local";
/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

/// What a remote is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteName(String);

/// It is no name of a remote.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum NotARemoteName {
    /// An address, most probably.
    #[error("it looks like an address; `multipass remote add NAME ADDRESS` gives an address a name")]
    Address,
    /// Anything else.
    #[error("a name begins with a letter, and has up to {LONGEST_NAME} letters, digits, '.', '_' and '-'")]
    Other,
}

impl RemoteName {
    /// The remote that is always there.
    pub(crate) fn local() -> Self {
        Self(LOCAL.to_owned())
    }

    /// Whether it is the one that is always there.
    pub(crate) fn is_local(&self) -> bool {
        self.0 == LOCAL
    }
}

impl FromStr for RemoteName {
    type Err = NotARemoteName;

    fn from_str(text: &str) -> Result<Self, NotARemoteName> {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        match text.chars().next() {
            _ if text.contains([':', '/']) || text.parse::<std::net::IpAddr>().is_ok() => {
                Err(NotARemoteName::Address)
            }
            Some(first) if first.is_ascii_alphabetic() && text.chars().all(is_plain) => {
                // One that is taken for the other would lead to another machine.
                let is_like_local = text != LOCAL && text.eq_ignore_ascii_case(LOCAL);
                match text.len() <= LONGEST_NAME && !is_like_local {
                    true => Ok(Self(text.to_owned())),
                    false => Err(NotARemoteName::Other),
                }
            }
            _ => Err(NotARemoteName::Other),
        }
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A service that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The name.
    pub(crate) name: RemoteName,
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// The fingerprint of its root; `None` where the system's root certificate counts, which is on this machine only.
    pub(crate) fingerprint: Option<RootFingerprint>,
}

impl Remote {
    /// The remote that is always there.
    pub(crate) fn local() -> Self {
        let endpoint = transports::default_endpoint();
        Self { name: RemoteName::local(), endpoint, fingerprint: None }
    }

    /// Makes sure that it can be kept.
    ///
    /// # Errors
    /// It would not be read from the file as it is, or is not to be changed.
    pub(crate) fn check(&self) -> Result<(), RemotesFault> {
        if self.name.is_local() {
            return Err(RemotesFault::Local);
        }
        match Self::parse(self.line().trim()).as_ref() == Ok(self) {
            true => Ok(()),
            false => Err(RemotesFault::Unwritable(self.endpoint.clone())),
        }
    }

    /// Its line in the file.
    fn line(&self) -> String {
        let fingerprint = self.fingerprint.map_or_else(|| NO_FINGERPRINT.to_owned(), |it| it.to_string());
        format!("{} {fingerprint} {}", self.name, self.endpoint)
    }

    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(fingerprint), Some(address)) = (words.next(), words.next(), words.next())
        else {
            return Err("is no name, fingerprint and address");
        };
        let name: RemoteName = name.parse().map_err(|_| "begins with no name of a remote")?;
        if name.is_local() {
            return Err("is about the remote 'local', which is built in");
        }
        let fingerprint = match fingerprint {
            NO_FINGERPRINT => None,
            digits => Some(digits.parse().map_err(|_| "has no fingerprint after the name")?),
        };
        let endpoint: Endpoint = address.parse().map_err(|_| "ends with no address")?;
        if fingerprint.is_none() && !endpoint.is_on_this_machine() {
            return Err("is about a service on another machine, and has no fingerprint");
        }
        Ok(Self { name, endpoint, fingerprint })
    }
}

/// Why a remote cannot be used, or not be changed.
#[derive(Debug, Error)]
pub(crate) enum RemotesFault {
    /// The file cannot be used.
    #[error(transparent)]
    List(#[from] ListFault),
    /// There is none of that name.
    #[error("there is no remote '{0}'")]
    Unknown(RemoteName),
    /// There is one of that name, and it is not to be replaced.
    #[error("there is a remote '{0}' already")]
    Exists(RemoteName),
    /// The built-in one stays as it is.
    #[error("the remote '{LOCAL}' is built in: it is this machine's own service, at its usual address")]
    Local,
    /// The address would not be read from the file as it is.
    #[error("the address {0} cannot be kept in the list of remotes")]
    Unwritable(Endpoint),
}

impl RemotesFault {
    /// What the user can do about it.
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::List(fault) => format!(
                "{} `--remote {LOCAL}` reaches this machine's own service meanwhile.",
                fault.next_step()
            ),
            Self::Unknown(_) => "`multipass remote list` shows which there are.".to_owned(),
            Self::Exists(name) => format!(
                "`multipass remote show {name}` shows it. Choose another name; or, to change it, add --replace."
            ),
            Self::Local => "It stays as it is; a remote that you add needs another name.".to_owned(),
            Self::Unwritable(_) => "Have the service listen at another one, without such spaces.".to_owned(),
        }
    }
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The remotes, in the order in which they were added, without the built-in one.
    pub(crate) remotes: Vec<Remote>,
    default: Option<RemoteName>,
}

impl Listed {
    /// The remote of that name, also the built-in one.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(&self, name: &RemoteName) -> Result<Remote, RemotesFault> {
        if name.is_local() {
            return Ok(Remote::local());
        }
        let found = self.remotes.iter().find(|remote| remote.name == *name);
        found.cloned().ok_or_else(|| RemotesFault::Unknown(name.clone()))
    }

    /// The default remote's name.
    pub(crate) fn default_name(&self) -> RemoteName {
        self.default.clone().unwrap_or_else(RemoteName::local)
    }
}

/// Whether a remote of the same name may be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Then nothing is done.
    Stays,
    /// It becomes the new one, and stays the default if it is.
    IsReplaced,
}

/// The user's file.
#[derive(Debug)]
pub(crate) struct Remotes {
    list: ListFile,
}

impl Remotes {
    /// The current user's; nothing is read or created yet.
    ///
    /// # Errors
    /// As of [`ListFile::of_user`].
    pub(crate) fn of_user() -> Result<Self, RemotesFault> {
        Ok(Self { list: ListFile::of_user(KIND)? })
    }

    /// The default remote of the current user, if it is not the built-in one. Who has no place for remotes has none;
    /// nor has root where another user decides which they are.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn default_of_user() -> Result<Option<Remote>, RemotesFault> {
        // Every command asks, and most users have no remotes.
        let is_missing = |directory: PathBuf| {
            let found = directory.join(KIND.file).symlink_metadata();
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        if platform::own_directory().is_none_or(is_missing) {
            return Ok(None);
        }
        let remotes = match Self::of_user() {
            Ok(remotes) => remotes,
            Err(RemotesFault::List(ListFault::NoHome(_) | ListFault::NotOwn { .. })) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let listed = remotes.read()?;
        listed.default.as_ref().map(|name| listed.find(name)).transpose()
    }

    /// The file, which may not exist.
    #[cfg(test)]
    pub(crate) fn file(&self) -> PathBuf {
        self.list.path()
    }

    /// What the file says.
    ///
    /// # Errors
    /// It cannot be read, or cannot be relied upon.
    pub(crate) fn read(&self) -> Result<Listed, RemotesFault> {
        Ok(self.understood(&self.list.read()?)?.listed)
    }

    /// Adds a remote, or changes it.
    ///
    /// # Errors
    /// There is one already that is to stay; or the file cannot be relied upon, or not be written. It is as it was then.
    pub(crate) fn add(&self, remote: &Remote, existing: Existing) -> Result<(), RemotesFault> {
        remote.check()?;
        let entry = remote.line();
        self.change(|lines, before| {
            match (before.line_of(&remote.name).and_then(|line| lines.get_mut(line)), existing) {
                (Some(_), Existing::Stays) => return Err(RemotesFault::Exists(remote.name.clone())),
                (Some(line), Existing::IsReplaced) => *line = entry,
                (None, _) => lines.push(entry),
            }
            Ok(())
        })
    }

    /// Removes a remote. Returns whether it was the default, which the built-in one is then.
    ///
    /// # Errors
    /// There is none of that name, or as for [`Self::add`].
    pub(crate) fn remove(&self, name: &RemoteName) -> Result<bool, RemotesFault> {
        if name.is_local() {
            return Err(RemotesFault::Local);
        }
        self.change(|lines, before| {
            let Some(line) = before.line_of(name) else {
                return Err(RemotesFault::Unknown(name.clone()));
            };
            let was_default = before.listed.default.as_ref() == Some(name);
            let default_line = before.default_line.filter(|_| was_default);
            let mut number = 0;
            lines.retain(|_| {
                let goes = number == line || Some(number) == default_line;
                number += 1;
                !goes
            });
            Ok(was_default)
        })
    }

    /// Makes a remote the default.
    ///
    /// # Errors
    /// As for [`Self::remove`].
    pub(crate) fn set_default(&self, name: &RemoteName) -> Result<(), RemotesFault> {
        let before = self.read()?;
        before.find(name)?;
        if before.default_name() == *name {
            return Ok(());
        }
        self.change(|lines, before| {
            before.listed.find(name)?;
            if let Some(line) = before.default_line {
                lines.remove(line);
            }
            if !name.is_local() {
                // Before the remotes, where it is seen.
                let at = before.lines.iter().copied().chain(before.default_line).min();
                lines.insert(at.unwrap_or(lines.len()).min(lines.len()), format!("{DEFAULT} {name}"));
            }
            Ok(())
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<String>, &Understood) -> Result<T, RemotesFault>,
    ) -> Result<T, RemotesFault> {
        self.list.change(|lines| {
            let before = self.understood(&lines.join("\n"))?;
            change(lines, &before)
        })
    }

    /// What `text` says. All of it has to be understood.
    fn understood(&self, text: &str) -> Result<Understood, ListFault> {
        let mut understood = Understood::default();
        for (line, content) in list::entries(text) {
            let damaged = |what| self.list.damaged(line, what);
            let index = line.saturating_sub(1);
            if let Some(name) = content.strip_prefix(DEFAULT) {
                let name = name.trim_start().parse().map_err(|_| damaged("names no remote"))?;
                if understood.listed.default.replace(name).is_some() {
                    return Err(damaged("sets the default remote a second time"));
                }
                understood.default_line = Some(index);
                continue;
            }
            let remote = Remote::parse(content).map_err(damaged)?;
            if understood.line_of(&remote.name).is_some() {
                return Err(damaged("has the same name as a line before it"));
            }
            understood.listed.remotes.push(remote);
            understood.lines.push(index);
        }
        if let (Some(name), Some(index)) = (&understood.listed.default, understood.default_line)
            && understood.listed.find(name).is_err()
        {
            return Err(self.list.damaged(index + 1, "sets a default remote that does not exist"));
        }
        Ok(understood)
    }
}

/// What a text says, and where.
#[derive(Debug, Default)]
struct Understood {
    listed: Listed,
    /// Of each remote, its line; the first is 0.
    lines: Vec<usize>,
    default_line: Option<usize>,
}

impl Understood {
    fn line_of(&self, name: &RemoteName) -> Option<usize> {
        let index = self.listed.remotes.iter().position(|remote| remote.name == *name)?;
        self.lines.get(index).copied()
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[cfg(test)]
mod power_cut;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::thread;

    use super::*;
    use crate::files;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    struct Fixture {
        home: tempfile::TempDir,
        remotes: Remotes,
    }

    /// A file with that text, or none yet.
    fn file(text: Option<&str>) -> Fixture {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("share/ours");
        if let Some(text) = text {
            files::create_directory(&directory).expect("made");
            files::replace(&directory, KIND.file, text.as_bytes()).expect("written");
        }
        Fixture { remotes: remotes_in(&directory), home }
    }

    pub(super) fn remotes_in(directory: &Path) -> Remotes {
        Remotes { list: ListFile::in_directory(directory.to_owned(), KIND) }
    }

    pub(super) fn name(text: &str) -> RemoteName {
        text.parse().expect(text)
    }

    pub(super) fn remote(name: &str, address: &str, fingerprint: &str) -> Remote {
        let fingerprint = (!fingerprint.is_empty()).then(|| fingerprint.parse().expect("a fingerprint"));
        Remote { name: self::name(name), endpoint: address.parse().expect(address), fingerprint }
    }

    impl Fixture {
        fn text(&self) -> String {
            fs::read_to_string(self.remotes.file()).expect("a file")
        }
    }

    #[test]
    fn names_are_told_from_addresses() {
        for text in ["a", "work", "Work", "host.example", "a-b_c.1", "locals", &"x".repeat(LONGEST_NAME)] {
            assert_eq!(name(text).to_string(), text);
        }
        for text in ["a:1", "unix:/run/socket", "10.0.0.1", "::1", "[::1]:5", "/run/socket"] {
            assert_eq!(text.parse::<RemoteName>(), Err(NotARemoteName::Address), "{text}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for text in
            ["", "-a", ".a", "_a", "1a", "50051", "a b", "\u{e4}", "a\n", "a*", "Local", "LOCAL", &long]
        {
            assert_eq!(text.parse::<RemoteName>(), Err(NotARemoteName::Other), "{text:?}");
        }
        assert!(name("local").is_local() && !name("locals").is_local());
    }

    #[test]
    fn looking_creates_nothing() {
        let fixture = file(None);
        let listed = fixture.remotes.read().expect("none");
        assert_eq!(listed, Listed::default());
        assert!(listed.default_name().is_local());
        assert_eq!(listed.find(&RemoteName::local()).expect("local"), Remote::local());
        fixture.remotes.set_default(&RemoteName::local()).expect("it is");
        assert!(fs::read_dir(fixture.home.path()).expect("a home").next().is_none());
    }

    #[test]
    fn what_is_added_is_read_and_the_rest_stays() {
        let fixture = file(None);
        let remotes = &fixture.remotes;
        let all = [
            remote("work", "server.example:50051", ONE),
            remote("lab", "quic:[2001:db8::1]:5", TWO),
            remote("own", "unix:/run/user/1000/my socket", ""),
            remote("tunnel", "localhost:50051", ONE),
        ];
        for remote in &all {
            remotes.add(remote, Existing::Stays).expect("written");
        }
        let lines = format!(
            "work {ONE} server.example:50051\nlab {TWO} quic:[2001:db8::1]:5\nown - unix:/run/user/1000/my socket\n\
             tunnel {ONE} localhost:50051\n"
        );
        assert_eq!(fixture.text(), format!("{}{lines}", KIND.header));
        assert_eq!(remotes.read().expect("read").remotes, all);

        remotes.set_default(&name("lab")).expect("written");
        assert_eq!(fixture.text(), format!("{}default: lab\n{lines}", KIND.header));
        remotes.set_default(&name("own")).expect("written");
        remotes.set_default(&name("own")).expect("the same");
        assert_eq!(fixture.text(), format!("{}default: own\n{lines}", KIND.header));
        assert_eq!(remotes.read().expect("read").default_name(), name("own"));

        assert!(!remotes.remove(&name("work")).expect("removed"));
        assert!(remotes.remove(&name("own")).expect("removed"));
        assert_eq!(
            fixture.text(),
            format!("{}lab {TWO} quic:[2001:db8::1]:5\ntunnel {ONE} localhost:50051\n", KIND.header)
        );
        remotes.set_default(&name("lab")).expect("written");
        remotes.set_default(&RemoteName::local()).expect("written");
        assert!(remotes.read().expect("read").default_name().is_local() && !fixture.text().contains(DEFAULT));
    }

    #[test]
    fn what_is_there_is_replaced_on_purpose_alone() {
        let text = format!("# mine\n\ndefault:  work \n  work {ONE} a.example:1 \r\n# c:3 is gone\n");
        let fixture = file(Some(&text));
        let new = remote("work", "b.example:1", TWO);
        let fault = fixture.remotes.add(&new, Existing::Stays).expect_err("there");
        assert!(
            matches!(fault, RemotesFault::Exists(_)) && fault.next_step().contains("--replace"),
            "{fault}"
        );
        assert_eq!(fixture.text(), text);
        fixture.remotes.add(&new, Existing::IsReplaced).expect("written");
        assert_eq!(
            fixture.text(),
            format!("# mine\n\ndefault:  work \nwork {TWO} b.example:1\n# c:3 is gone\n")
        );
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let text = format!("work {ONE} a.example:1\n");
        let fixture = file(Some(&text));
        let remotes = &fixture.remotes;
        for (fault, part) in [
            (remotes.remove(&name("nosuch")).map(drop), "no remote 'nosuch'"),
            (remotes.set_default(&name("nosuch")), "no remote 'nosuch'"),
            (remotes.remove(&RemoteName::local()).map(drop), "built in"),
            (remotes.add(&remote("local", "localhost:1", ""), Existing::IsReplaced), "built in"),
            (remotes.add(&remote("a", "unix:/a ", ""), Existing::Stays), "cannot be kept"),
            (remotes.add(&remote("a", "elsewhere:1", ""), Existing::Stays), "cannot be kept"),
        ] {
            let fault = fault.expect_err(part);
            assert!(fault.to_string().contains(part) && !fault.next_step().is_empty(), "{fault}");
        }
        assert_eq!(fixture.text(), text);
    }

    #[test]
    fn what_is_not_understood_is_named_and_stays() {
        let good = format!("work {ONE} a.example:1\n");
        for (damage, line, what) in [
            ("b", 2, "no name, fingerprint and address"),
            ("b b.example:1", 2, "no name, fingerprint and address"),
            (&format!("b:1 {ONE} b.example:1"), 2, "no name of a remote"),
            (&format!("local {ONE} b.example:1"), 2, "built in"),
            (&format!("b {} b.example:1", &ONE[1..]), 2, "no fingerprint"),
            (&format!("b  {ONE} b.example:1"), 2, "no fingerprint"),
            (&format!("b {ONE} b.example"), 2, "no address"),
            (&format!("b {ONE} http://b.example:1"), 2, "no address"),
            ("b - b.example:1", 2, "another machine"),
            (&format!("\nwork {ONE} a.example:1"), 3, "the same name"),
            ("default: b", 2, "that does not exist"),
            ("default:", 2, "names no remote"),
            ("default: work\ndefault: work", 3, "a second time"),
            ("\u{feff}default: work", 2, "no name"),
        ] {
            let fixture = file(Some(&format!("{good}{damage}\n")));
            let before = fixture.text();
            let remotes = &fixture.remotes;
            for fault in [
                remotes.read().map(drop),
                remotes.add(&remote("c", "c.example:1", TWO), Existing::IsReplaced),
                remotes.remove(&name("work")).map(drop),
                remotes.set_default(&name("work")),
            ] {
                let fault = fault.expect_err(damage);
                let text = fault.to_string();
                assert!(text.contains(&format!("line {line} of")) && text.contains(what), "{damage}: {text}");
                assert!(text.contains(&remotes.file().display().to_string()), "{text}");
                assert!(fault.next_step().contains("--remote local"), "{}", fault.next_step());
            }
            assert_eq!(fixture.text(), before);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owner_s() {
        use std::os::unix::fs::PermissionsExt;
        let fixture = file(None);
        let work = remote("work", "a.example:1", ONE);
        fixture.remotes.add(&work, Existing::Stays).expect("written");
        let file = fixture.remotes.file();
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o7777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("set");
        for fault in [
            fixture.remotes.read().map(drop),
            fixture.remotes.add(&work, Existing::IsReplaced),
            fixture.remotes.remove(&work.name).map(drop),
        ] {
            let fault = fault.expect_err("open to others");
            assert!(matches!(fault, RemotesFault::List(ListFault::OpenToOthers { .. })), "{fault}");
        }
    }

    #[test]
    fn a_list_never_grows_too_long_to_be_read() {
        let comment = format!("#{}\n", "x".repeat(usize::try_from(list::MAX_SIZE).expect("a size") - 2));
        let fixture = file(Some(&comment));
        let fault =
            fixture.remotes.add(&remote("work", "a.example:1", ONE), Existing::Stays).expect_err("too long");
        assert!(matches!(fault, RemotesFault::List(ListFault::File(_))), "{fault}");
        assert_eq!(fixture.text(), comment);
    }

    #[test]
    fn clients_that_add_at_once_lose_nothing() {
        let fixture = file(None);
        let remotes = &fixture.remotes;
        thread::scope(|scope| {
            for number in 1..=16 {
                scope.spawn(move || {
                    let remote = remote(&format!("r{number}"), "a.example:1", ONE);
                    remotes.add(&remote, Existing::Stays).expect("written");
                });
            }
        });
        let mut found: Vec<_> =
            remotes.read().expect("read").remotes.iter().map(|remote| remote.name.to_string()).collect();
        found.sort();
        let mut all: Vec<_> = (1..=16).map(|number| format!("r{number}")).collect();
        all.sort();
        assert_eq!(found, all);
    }
}
