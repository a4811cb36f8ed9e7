//! What can happen, and what it does: each step by the real authority, and looked at by an oracle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use auth_core::{Admission, Authority, Recovery, TrustStore};

use crate::daemon::{
    Dead, Death, Records, Remembering, Socket, authority, caller, certificate, claim, guess, is_entitled,
};
use crate::wishes::{Asker, Wish};
use crate::world::{CLIENTS, Call, Client, Daemon, Disk, Flaw, Running, Words, World};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// What can happen next. A death is the daemon's, within the change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Start(Daemon),
    Crash(Daemon),
    /// The daemon takes notice of what others have done to the store.
    Reload(Daemon),
    /// A client makes a call that only trusted clients may make.
    Call(Client, Daemon),
    /// A client's claim to be the first is judged.
    EnrolFirst(Client, Option<Death>),
    /// A client begins to authenticate, with the right words.
    Guess(Client, Daemon),
    /// Its guess is evaluated.
    Authenticate(Client, Option<Death>),
    /// A client presents the token.
    Present(Client, Daemon),
    /// It is redeemed.
    Redeem(Client, Option<Death>),
    /// An administrator who wants something is asked who it is.
    Ask(Asker, Daemon, Wish),
    /// What it wants is done.
    Grant(Asker, Option<Death>),
    /// Somebody removes all clients from the store, by hand.
    Wipe,
    /// Root has the first client awaited again, beside the daemons.
    AwaitFirst,
    /// An installer names the first client, beside the daemons.
    EnrolInstaller(Client),
}

impl World {
    /// All that can happen with these daemons.
    pub(crate) fn possible(&self, daemons: &[Daemon]) -> Vec<Action> {
        let mut actions = Vec::new();
        let deaths: &[Option<Death>] = match self.left.crashes {
            0 => &[None],
            _ => &[None, Some(Death::AfterRecord), Some(Death::AfterWrite)],
        };
        for &daemon in daemons {
            let Some(running) = self.daemons[daemon] else {
                actions.push(Action::Start(daemon));
                continue;
            };
            if self.left.crashes > 0 {
                actions.push(Action::Crash(daemon));
            }
            if running.known != self.disk {
                actions.push(Action::Reload(daemon));
            }
            for client in CLIENTS {
                if self.calls[client] == Call::None {
                    actions.push(Action::Call(client, daemon));
                    // One who can be let in by nothing else; the others would only be more of the same.
                    if !is_entitled(client) && running.known.passphrase == Some(Words::Right) {
                        actions.push(Action::Guess(client, daemon));
                    }
                    if running.known.token.is_some() {
                        actions.push(Action::Present(client, daemon));
                    }
                }
            }
            actions.extend(self.wishes(daemon));
        }
        let granted = |asker| deaths.iter().map(move |death| Action::Grant(asker, *death));
        actions.extend(self.root.iter().flat_map(|_| granted(Asker::Root)));
        for (client, call) in CLIENTS.into_iter().zip(self.calls) {
            match call {
                Call::None => {}
                Call::Claims(_) => {
                    actions.extend(deaths.iter().map(|death| Action::EnrolFirst(client, *death)));
                }
                Call::Guesses(_) => {
                    actions.extend(deaths.iter().map(|death| Action::Authenticate(client, *death)));
                }
                Call::Presents(_) => {
                    actions.extend(deaths.iter().map(|death| Action::Redeem(client, *death)));
                }
                Call::Wants(..) => actions.extend(granted(Asker::Client(client))),
            }
        }
        if self.left.wipes > 0 && !self.disk.trusted.is_empty() {
            actions.push(Action::Wipe);
        }
        if self.left.recoveries > 0 {
            actions.push(Action::AwaitFirst);
        }
        actions.extend(CLIENTS.map(Action::EnrolInstaller));
        actions
    }

    /// Does it.
    pub(crate) fn act(&mut self, action: Action, flaw: Flaw) {
        match action {
            Action::Start(daemon) => {
                let open = !self.disk.trusted.is_empty();
                self.daemons[daemon] = Some(Running { known: self.disk, open });
            }
            Action::Crash(daemon) => {
                self.left.crashes -= 1;
                self.die(daemon);
            }
            Action::Reload(daemon) => {
                if let Some(running) = &mut self.daemons[daemon] {
                    *running = Running { known: self.disk, open: !self.disk.trusted.is_empty() };
                }
            }
            Action::Call(client, daemon) => self.call(client, daemon),
            Action::EnrolFirst(client, death) => {
                let Call::Claims(daemon) = self.calls[client] else { return };
                self.calls[client] = Call::None;
                let Some(claim) = claim(client) else {
                    return self.blame("who may not be first has claimed");
                };
                let grounds = self.disk.armed && is_entitled(client);
                let before = self.disk;
                let let_in =
                    self.at(daemon, death, flaw, |it, _| it.enrol_first(claim, NOW).map(drop).is_ok());
                self.note_gain(client, before, grounds);
                if self.disk.trusted.has(client) && !before.trusted.has(client) {
                    if self.first_was {
                        self.blame("a second first client");
                    }
                    self.first_was = true;
                }
                self.answered(client, daemon, let_in);
            }
            Action::Guess(client, daemon) => self.calls[client] = Call::Guesses(daemon),
            Action::Authenticate(client, death) => {
                let Call::Guesses(daemon) = self.calls[client] else { return };
                self.calls[client] = Call::None;
                let before = self.disk;
                let grounds = before.passphrase == Some(Words::Right);
                let let_in =
                    self.at(daemon, death, flaw, |it, _| it.authenticate(guess(client), NOW).is_ok());
                if let_in == Some(false) && grounds {
                    self.blame("the right passphrase was refused");
                }
                self.note_gain(client, before, grounds);
                self.answered(client, daemon, let_in);
            }
            Action::Present(client, daemon) => self.calls[client] = Call::Presents(daemon),
            Action::Redeem(client, death) => self.redeem(client, death, flaw),
            Action::Ask(asker, daemon, wish) => self.ask(asker, daemon, wish),
            Action::Grant(asker, death) => self.grant(asker, death, flaw),
            Action::Wipe => {
                self.left.wipes -= 1;
                self.disk.trusted = Default::default();
                self.disk.read_only = Default::default();
                // They are void, and gone before one of the makers is enrolled again.
                self.disk.token = self.disk.token.filter(|maker| *maker == Asker::Root);
                self.promised = Default::default();
            }
            Action::AwaitFirst => {
                self.left.recoveries -= 1;
                let disk = self.disk.load();
                let recovery = Recovery { store: &disk, audit: &Records::default() };
                let awaited = recovery.await_first(NOW).expect("stored");
                if awaited != self.disk.trusted.is_empty() {
                    self.blame("the first client is awaited beside others");
                }
                self.disk = Disk::of(&disk);
                self.first_was &= !awaited;
            }
            Action::EnrolInstaller(client) => {
                let before = self.disk;
                let disk = before.load();
                let records = Records::default();
                let recovery = Recovery { store: &disk, audit: &records };
                let done = recovery.enrol_installer(certificate(client), None, NOW).expect("stored");
                self.disk = Disk::of(&disk);
                if done != before.armed || done != (self.disk != before) {
                    self.blame(
                        "an installer's client is the first where none is awaited, or none where one is",
                    );
                }
                if done && !records.0.lock().unwrap().has(client) {
                    self.blame("a grant is not on record");
                }
                self.note_gain(client, before, done);
                if done && self.first_was {
                    self.blame("a second first client");
                }
                self.first_was |= done;
            }
        }
    }

    fn call(&mut self, client: Client, daemon: Daemon) {
        let Some(running) = self.daemons[daemon] else { return };
        let is_fresh = running.known == self.disk;
        let mut claims = false;
        let granted = self.at(daemon, None, Flaw::None, |it, _| match it.admit(&caller(client)) {
            Ok(Admission::Granted(_)) => true,
            Ok(Admission::FirstClient(_)) => {
                claims = true;
                false
            }
            Err(_) => false,
        });
        if granted == Some(true) && !self.enrolled.has(client) {
            self.blame("somebody entered who was not enrolled");
        }
        if granted == Some(false) && is_fresh && self.promised.has(client) {
            self.blame("somebody was refused who was let in before");
        }
        if claims {
            self.calls[client] = Call::Claims(daemon);
        }
    }

    /// Asks the authority of a daemon, or its store, which may die of it: then there is no answer.
    pub(crate) fn at<T>(
        &mut self,
        daemon: Daemon,
        death: Option<Death>,
        flaw: Flaw,
        ask: impl FnOnce(&Authority, &dyn TrustStore) -> T,
    ) -> Option<T> {
        let running = self.daemons[daemon]?;
        let disk = Arc::new(self.disk.load());
        let known = Mutex::new(running.known);
        let store = Arc::new(Remembering { disk: Arc::clone(&disk), known, death, flaw });
        let (socket, records) = (Socket::default(), Arc::new(Records::default()));
        socket.0.store(running.open, Ordering::SeqCst);
        let judge =
            authority(Arc::<Remembering>::clone(&store), Box::new(socket.clone()), Arc::clone(&records));
        let answer = catch_unwind(AssertUnwindSafe(|| ask(&judge, &*store)));
        let gained = Disk::of(&*disk).trusted.without(self.disk.trusted);
        if !gained.without(*records.0.lock().unwrap()).is_empty() {
            self.blame("a grant is not on record");
        }
        self.disk = Disk::of(&*disk);
        match answer {
            Ok(answer) => {
                let known = *store.known.lock().unwrap();
                self.daemons[daemon] = Some(Running { known, open: socket.0.load(Ordering::SeqCst) });
                self.settle(daemon, running.known);
                Some(answer)
            }
            Err(reason) => {
                assert!(reason.is::<Dead>(), "a real panic");
                self.left.crashes -= 1;
                self.die(daemon);
                None
            }
        }
    }

    /// A client that is trusted now and was not before must have had grounds.
    pub(crate) fn note_gain(&mut self, client: Client, before: Disk, grounds: bool) {
        let gained = self.disk.trusted.without(before.trusted);
        if gained.iter().any(|other| other != client) {
            self.blame("somebody else was enrolled");
        }
        // Whoever may do more than before must have had them too.
        let raised =
            before.read_only.without(self.disk.read_only).iter().filter(|it| self.disk.trusted.has(*it));
        if raised.collect::<Vec<_>>().iter().any(|it| *it != client || !grounds) {
            self.blame("somebody may do more without grounds");
        }
        if gained.has(client) {
            if grounds {
                self.enrolled.extend([client]);
            } else if !self.first_was {
                self.blame("somebody was enrolled without grounds");
            }
        }
    }

    /// A client was answered by a daemon that is still there.
    pub(crate) fn answered(&mut self, client: Client, daemon: Daemon, let_in: Option<bool>) {
        if let_in == Some(true) {
            self.promised.extend([client]);
            if !self.daemons[daemon].is_some_and(|it| it.open) {
                self.blame("a client was let in and the gate stayed shut");
            }
        }
    }

    /// A daemon that learns that others are trusted sets its gate.
    fn settle(&mut self, daemon: Daemon, before: Disk) {
        if let Some(running) = &mut self.daemons[daemon]
            && before.trusted != running.known.trusted
        {
            running.open = !running.known.trusted.is_empty();
        }
    }

    pub(crate) fn knows(&self, daemon: Daemon) -> Disk {
        self.daemons[daemon].map_or_else(Disk::default, |running| running.known)
    }

    /// With a daemon go its calls.
    fn die(&mut self, daemon: Daemon) {
        self.daemons[daemon] = None;
        for call in &mut self.calls {
            if matches!(*call, Call::Claims(at) | Call::Guesses(at) | Call::Presents(at) | Call::Wants(at, _) if at == daemon)
            {
                *call = Call::None;
            }
        }
        self.root = self.root.filter(|(at, _)| *at != daemon);
    }

    pub(crate) fn blame(&mut self, fault: &'static str) {
        self.fault.get_or_insert(fault);
    }
}
