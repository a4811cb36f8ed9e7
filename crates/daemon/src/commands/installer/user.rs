//! Who installs the service: whoever ran the installer, not the administrator that it runs as.

use std::io;

use thiserror::Error;

/// A user of this machine, by the name under which the system knows them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InstallingUser(String);

/// Why it is not known who installs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UserError {
    /// Nobody was named, and the environment tells nobody.
    #[error(
        "it is not known who installs the service: name the user with --user, as in 'multipassd enroll-installer \
         --user alice'"
    )]
    Unknown,
    /// No such user.
    #[error("there is no user '{0}' on this machine; name another with --user")]
    NoSuchUser(String),
    /// Somebody else than who runs this.
    #[error(
        "the client of '{0}' cannot be made by somebody else on this system; have them run this themselves"
    )]
    NotThisUser(String),
    /// The user database cannot be read.
    #[error("cannot look up who installs the service")]
    Database(#[source] io::Error),
}

impl InstallingUser {
    /// The user called `named`; or whom the environment tells.
    ///
    /// # Errors
    /// Nobody is told, there is no such user, or the system does not tell.
    pub(super) fn find(named: Option<&str>) -> Result<Self, UserError> {
        system::find(named, |variable| std::env::var(variable).ok().filter(|value| !value.is_empty()))
    }

    /// The user's name.
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

#[cfg(unix)]
mod system {
    use nix::unistd::{Uid, User};

    use super::{InstallingUser, UserError};

    /// Root counts only where it was named: an administrator who has logged in as root, and runs `sudo` all the
    /// same, does not mean root's client, which would shut everyone else out.
    pub(super) fn find(
        named: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<InstallingUser, UserError> {
        let known = |user: Option<User>, called: String| match user {
            Some(user) => Ok(user),
            None => Err(UserError::NoSuchUser(called)),
        };
        let by_name = |name: &str| {
            User::from_name(name)
                .map_err(|error| UserError::Database(error.into()))
                .and_then(|user| known(user, name.to_owned()))
        };
        let by_uid = |uid: &str| match uid.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number))
                .map_err(|error| UserError::Database(error.into()))
                .and_then(|user| known(user, uid.to_owned())),
            Err(_) => Err(UserError::NoSuchUser(uid.to_owned())),
        };
        if let Some(name) = named {
            return by_name(name).map(|user| InstallingUser(user.name));
        }
        // sudo(8) and pkexec(1) tell who ran them.
        let told = [
            variable("SUDO_USER").map(|name| by_name(&name)),
            variable("PKEXEC_UID").map(|uid| by_uid(&uid)),
        ];
        for user in told.into_iter().flatten() {
            let user = user?;
            if !user.uid.is_root() {
                return Ok(InstallingUser(user.name));
            }
        }
        Err(UserError::Unknown)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Two users whom every system has.
        const OTHERS: [&str; 2] = ["nobody", "daemon"];

        #[test]
        fn who_installs_is_who_ran_the_installer() {
            let uid_of = |name| User::from_name(name).unwrap().expect("a system's user").uid.to_string();
            let [nobody, daemon] = OTHERS;
            let (uid, daemon_uid) = (uid_of(nobody), uid_of(daemon));
            for (named, sudo, pkexec, expected) in [
                (None, Some(nobody), None, Ok(nobody)),
                (None, None, Some(uid.as_str()), Ok(nobody)),
                (None, Some("root"), Some(uid.as_str()), Ok(nobody)),
                (None, Some(nobody), Some(daemon_uid.as_str()), Ok(nobody)),
                (Some(daemon), Some(nobody), Some(uid.as_str()), Ok(daemon)),
                (Some("root"), Some(nobody), None, Ok("root")),
                (None, None, None, Err("--user alice")),
                (None, Some("root"), None, Err("--user alice")),
                (None, None, Some("0"), Err("--user alice")),
                (None, Some("mp-no-such"), None, Err("'mp-no-such'")),
                (None, None, Some("4294967290"), Err("'4294967290'")),
                (None, None, Some("-1"), Err("'-1'")),
                (Some("mp-no-such"), Some(nobody), None, Err("'mp-no-such'")),
                (Some(""), Some(nobody), None, Err("''")),
            ] {
                let shown = format!("{named:?} {sudo:?} {pkexec:?}");
                let variable = |name: &str| match name {
                    "SUDO_USER" => sudo.map(str::to_owned),
                    "PKEXEC_UID" => pkexec.map(str::to_owned),
                    other => panic!("{other}"),
                };
                match (find(named, variable), expected) {
                    (Ok(user), Ok(expected)) => assert_eq!(user.name(), expected, "{shown}"),
                    (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{shown}: {error}"),
                    (found, _) => panic!("{shown}: {found:?}"),
                }
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use super::{InstallingUser, UserError};

    /// The accounts that services and unattended installations run as.
    const NOBODYS: [&str; 3] = ["SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE"];

    /// An installer that an administrator has permitted still runs as the user who started it.
    pub(super) fn find(
        named: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<InstallingUser, UserError> {
        // A computer's own account, as services see it, ends so.
        let is_somebody = |name: &String| {
            !name.ends_with('$') && !NOBODYS.iter().any(|other| name.eq_ignore_ascii_case(other))
        };
        let runs_this = variable("USERNAME").filter(is_somebody);
        choose(runs_this, named, win32::session_user())
    }

    /// Whoever has logged in installs, also where an administrator was asked for a password; but only a user's own
    /// program makes their client.
    fn choose(
        runs_this: Option<String>,
        named: Option<&str>,
        logged_in: Option<String>,
    ) -> Result<InstallingUser, UserError> {
        let meant = named.map(str::to_owned).or(logged_in).or_else(|| runs_this.clone());
        match (runs_this, meant) {
            (Some(user), Some(meant)) if user.eq_ignore_ascii_case(&meant) => Ok(InstallingUser(user)),
            (_, Some(meant)) => Err(UserError::NotThisUser(meant)),
            (_, None) => Err(UserError::Unknown),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn who_installs_is_who_has_logged_in() {
            for (runs_this, named, logged_in, expected) in [
                (Some("alice"), None, Some("alice"), Ok("alice")),
                (Some("alice"), None, Some("Alice"), Ok("alice")),
                (Some("alice"), None, None, Ok("alice")),
                (Some("admin"), Some("ADMIN"), Some("alice"), Ok("admin")),
                (Some("admin"), None, Some("alice"), Err("'alice'")),
                (Some("alice"), Some("bob"), Some("alice"), Err("'bob'")),
                (None, None, Some("alice"), Err("'alice'")),
                (None, Some("alice"), None, Err("'alice'")),
                (None, None, None, Err("--user alice")),
            ] {
                let shown = format!("{runs_this:?} {named:?} {logged_in:?}");
                match (choose(runs_this.map(Into::into), named, logged_in.map(Into::into)), expected) {
                    (Ok(user), Ok(expected)) => assert_eq!(user.name(), expected, "{shown}"),
                    (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{shown}: {error}"),
                    (found, _) => panic!("{shown}: {found:?}"),
                }
            }
        }

        #[test]
        fn services_are_nobody() {
            for name in ["SYSTEM", "Local Service", "MACHINE$"] {
                assert!(find(Some(name), |_| Some(name.to_owned())).is_err(), "{name}");
            }
        }
    }
}
