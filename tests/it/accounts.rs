//! Accounts with names, for programs that look them up: the machine's own user database stays as it is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use e2e::{Account, Client, Outcome, may_mount, skip, through_shell};

use crate::support::Service;

/// The machine's users and one more.
pub(crate) struct NamedAccount {
    pub(crate) client: Client,
    pub(crate) account: Account,
    users: PathBuf,
}

impl NamedAccount {
    pub(crate) const NAME: &str = "mp-alice";

    /// An outsider with a home that is empty. Where the programs of a test cannot be given a user database of
    /// their own, that is said.
    pub(crate) fn new(service: &Service) -> Option<Self> {
        if !may_mount() {
            skip("needs the right to mount, to give an account a name");
            return None;
        }
        let account = Account { uid: 4001, gid: 4001, groups: Vec::new() };
        let client = service.user_as("alice", account.clone());
        let users = service.sandbox.path("users");
        let known = fs::read_to_string("/etc/passwd").expect("the user database");
        let line = format!("{}:x:4001:4001::{}:/bin/sh\n", Self::NAME, client.home.display());
        fs::write(&users, known + &line).expect("written");
        Some(Self { client, account, users })
    }

    /// `command`, where the account has its name.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let script = format!(
            "exec unshare --mount -- sh -c 'mount --bind {} /etc/passwd && exec \"$@\"' sh \"$@\"",
            self.users.display()
        );
        through_shell(&script, command)
    }

    /// Runs `command` where the account has its name.
    #[track_caller]
    pub(crate) fn run(&self, command: &Command) -> Outcome {
        Outcome::of(&mut self.command(command), "").expect("the program runs")
    }

    /// `sudo multipass clients add --user` of the account.
    #[track_caller]
    pub(crate) fn add(&self, root: &Client) -> Outcome {
        self.run(&root.command(&["clients", "add", "--user", Self::NAME]))
    }
}
