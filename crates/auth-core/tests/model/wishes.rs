//! What administrators want, root and trusted clients: each is asked who it is in one step, and what it wants is done
//! in another, with anything between them.

use std::time::SystemTime;

use auth_core::{Administrator, Authority, Change, Level, TrustStore};

use crate::actions::Action;
use crate::daemon::{Death, administrator, caller, certificate, fingerprint, hash_of, root};
use crate::tokens;
use crate::world::{CLIENTS, Call, Client, Clients, Daemon, Flaw, Words, World};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Who wants something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Asker {
    Root,
    Client(Client),
}

/// What it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wish {
    Add(Client),
    Revoke(Client),
    SetLevel(Client, Level),
    SetPassphrase(Words),
    MakeToken,
    EndToken,
}

impl Wish {
    /// Each administrator's client for the other's.
    pub(crate) fn swap(&mut self) {
        if let Self::Add(client) | Self::Revoke(client) | Self::SetLevel(client, _) = self
            && *client < 2
        {
            *client = 1 - *client;
        }
    }
}

impl World {
    /// What can be wanted of a daemon, and by whom.
    pub(crate) fn wishes(&self, daemon: Daemon) -> Vec<Action> {
        let mut wishes = Vec::new();
        if self.left.revocations > 0 {
            wishes.extend(CLIENTS.into_iter().filter(|it| self.disk.trusted.has(*it)).map(Wish::Revoke));
        }
        if self.left.levels > 0 {
            let trusted = || CLIENTS.into_iter().filter(|it| self.disk.trusted.has(*it));
            wishes.extend(
                Level::ALL.into_iter().flat_map(|level| trusted().map(move |it| Wish::SetLevel(it, level))),
            );
        }
        if self.left.passphrases > 0 {
            wishes.extend([Words::Right, Words::Other].map(Wish::SetPassphrase));
        }
        if self.left.tokens > 0 {
            wishes.push(if self.disk.token.is_some() { Wish::EndToken } else { Wish::MakeToken });
        }
        if self.left.additions > 0 {
            wishes.extend(CLIENTS.map(Wish::Add));
        }
        let idle = |client: &Client| self.left.clients_wishes > 0 && self.calls[*client] == Call::None;
        let clients = CLIENTS.into_iter().filter(idle).map(Asker::Client);
        let askers = self.root.is_none().then_some(Asker::Root).into_iter().chain(clients);
        askers.flat_map(|asker| wishes.iter().map(move |wish| Action::Ask(asker, daemon, *wish))).collect()
    }

    /// An asker is asked who it is.
    pub(crate) fn ask(&mut self, asker: Asker, daemon: Daemon, wish: Wish) {
        let Some(running) = self.daemons[daemon] else { return };
        let who = match asker {
            Asker::Root => root(),
            Asker::Client(client) => caller(client),
        };
        let may = self.at(daemon, None, Flaw::None, |it, _| it.administrator(&who).is_ok());
        if let Asker::Client(client) = asker {
            if may == Some(true) && !self.enrolled.has(client) {
                self.blame("somebody entered who was not enrolled");
            }
            if may == Some(true) && running.known.read_only.has(client) {
                self.blame("who may only read is an administrator");
            }
            let may_everything = self.promised.has(client) && !self.disk.read_only.has(client);
            if may == Some(false) && running.known == self.disk && may_everything {
                self.blame("somebody was refused who was let in before");
            }
        }
        if may != Some(true) {
            return;
        }
        match wish {
            Wish::Add(_) => self.left.additions -= 1,
            Wish::Revoke(_) => self.left.revocations -= 1,
            Wish::SetLevel(..) => self.left.levels -= 1,
            Wish::SetPassphrase(_) => self.left.passphrases -= 1,
            Wish::MakeToken | Wish::EndToken => self.left.tokens -= 1,
        }
        match asker {
            Asker::Root => self.root = Some((daemon, wish)),
            Asker::Client(client) => {
                self.left.clients_wishes -= 1;
                self.calls[client] = Call::Wants(daemon, wish);
            }
        }
    }

    /// What an asker wants is done, if it may still want it.
    pub(crate) fn grant(&mut self, asker: Asker, death: Option<Death>, flaw: Flaw) {
        let wanted = match asker {
            Asker::Root => self.root.take(),
            Asker::Client(client) => match std::mem::replace(&mut self.calls[client], Call::None) {
                Call::Wants(daemon, wish) => Some((daemon, wish)),
                _ => None,
            },
        };
        let Some((daemon, wish)) = wanted else { return };
        let before = self.disk;
        let may = before.obeys(asker);
        let by = administrator(asker);
        let done = self.at(daemon, death, flaw, |it, store| done(it, store, by, asker, wish));
        if !may && (self.disk != before || done == Some(true)) {
            self.blame("somebody changed something who is not trusted any more");
        }
        match wish {
            Wish::Add(client) => {
                if may && done == Some(false) && !before.read_only.has(client) {
                    self.blame("an administrator could not add a client");
                }
                self.note_gain(client, before, may);
                self.answered(client, daemon, done);
            }
            Wish::Revoke(client) => {
                if may && done.is_some() && self.knows(daemon).trusted.has(client) {
                    self.blame("a revoked client is still trusted");
                }
                if may {
                    self.promised = self.promised.without(Clients::from_iter([client]));
                }
            }
            Wish::SetLevel(client, level) => {
                self.note_gain(client, before, may);
                let is_read_only = self.knows(daemon).read_only.has(client);
                if done == Some(true) && is_read_only != (level == Level::ReadOnly) {
                    self.blame("a client's level is another one");
                }
            }
            Wish::MakeToken => {
                if done == Some(true) && self.disk.token.is_none() {
                    self.blame("the token that was made is not there");
                }
                self.token_was_used &= self.disk.token == before.token;
            }
            Wish::EndToken => {
                if done == Some(true) && self.disk.token.is_some() {
                    self.blame("a revoked token is still there");
                }
            }
            Wish::SetPassphrase(words) => {
                if done == Some(true) && self.disk.passphrase != Some(words) {
                    self.blame("the passphrase is another one");
                }
            }
        }
    }
}

/// Does it by the real authority, and says whether that told so.
fn done(authority: &Authority, store: &dyn TrustStore, by: &Administrator, asker: Asker, wish: Wish) -> bool {
    match wish {
        // As the authority does, but with a secret that is known here.
        Wish::MakeToken => {
            let outcome = store.change(&tokens::made(asker), &mut || Ok(())).expect("it is in memory");
            outcome == auth_core::Outcome::Changed
        }
        Wish::EndToken => authority.revoke_token(by, tokens::hash().id(), tokens::moment()).is_ok(),
        Wish::Add(client) => authority.add(by, certificate(client), Level::Full, None, NOW).is_ok(),
        Wish::Revoke(client) => authority.revoke(by, fingerprint(client), NOW).is_ok(),
        Wish::SetLevel(client, level) => authority.set_level(by, fingerprint(client), level, NOW).is_ok(),
        // As the authority does, but with a hash that is cheap.
        Wish::SetPassphrase(words) => {
            let change = Change::SetPassphrase { passphrase: Some(hash_of(words)), by: by.actor() };
            store.change(&change, &mut || Ok(())).expect("it is in memory") == auth_core::Outcome::Changed
        }
    }
}
