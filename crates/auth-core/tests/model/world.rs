//! What there is: the disk, the daemons, the calls on their way; and what was promised.

use stateright::{Model, Property};

use crate::actions::Action;
use crate::wishes::{Asker, Wish};

/// Number of a client.
pub(crate) type Client = usize;
/// Number of a daemon.
pub(crate) type Daemon = usize;

pub(crate) const CLIENTS: [Client; 3] = [0, 1, 2];
pub(crate) const DAEMONS: [Daemon; 2] = [0, 1];

/// A set of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Clients(u8);

impl Clients {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has(self, client: Client) -> bool {
        self.0 & (1 << client) != 0
    }

    pub(crate) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Each administrator's client for the other's.
    fn swap(&mut self) {
        self.0 = (self.0 & !3) | ((self.0 & 1) << 1) | ((self.0 & 2) >> 1);
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Client> {
        CLIENTS.into_iter().filter(move |client| self.has(*client))
    }
}

impl Extend<Client> for Clients {
    fn extend<T: IntoIterator<Item = Client>>(&mut self, clients: T) {
        clients.into_iter().for_each(|client| self.0 |= 1 << client);
    }
}

impl FromIterator<Client> for Clients {
    fn from_iter<T: IntoIterator<Item = Client>>(clients: T) -> Self {
        let mut set = Self::default();
        set.extend(clients);
        set
    }
}

/// A passphrase. Clients give the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Words {
    Right,
    Other,
}

/// What survives a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Disk {
    pub(crate) trusted: Clients,
    /// Of these, those that may only read.
    pub(crate) read_only: Clients,
    pub(crate) armed: bool,
    pub(crate) passphrase: Option<Words>,
    /// Who made the token that may be redeemed.
    pub(crate) token: Option<Asker>,
}

impl Disk {
    /// Whether an asker may say who is trusted.
    pub(crate) fn obeys(&self, asker: Asker) -> bool {
        match asker {
            Asker::Root => true,
            Asker::Client(client) => self.trusted.has(client) && !self.read_only.has(client),
        }
    }
}

/// A daemon that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Running {
    /// What it last read.
    pub(crate) known: Disk,
    /// Whether its socket is open to everyone.
    pub(crate) open: bool,
}

/// What a client has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    /// Nothing.
    None,
    /// It may become the first client, said this daemon.
    Claims(Daemon),
    /// Its guess was counted by this daemon, while its words were the passphrase.
    Guesses(Daemon),
    /// It has presented the token while it was there, to this daemon.
    Presents(Daemon),
    /// It may say who is trusted, said this daemon, and wants this.
    Wants(Daemon, Wish),
}

/// How often something may still happen: the model is finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Left {
    pub(crate) crashes: u8,
    pub(crate) revocations: u8,
    pub(crate) passphrases: u8,
    pub(crate) additions: u8,
    pub(crate) levels: u8,
    /// A token made, and one revoked.
    pub(crate) tokens: u8,
    /// How many of all these clients may want. Root may want all.
    pub(crate) clients_wishes: u8,
    pub(crate) wipes: u8,
    pub(crate) recoveries: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct World {
    pub(crate) disk: Disk,
    pub(crate) daemons: [Option<Running>; DAEMONS.len()],
    pub(crate) calls: [Call; CLIENTS.len()],
    /// What root wants, and of which daemon.
    pub(crate) root: Option<(Daemon, Wish)>,
    /// Those who were told that they are trusted, and of whom nobody has said otherwise since.
    pub(crate) promised: Clients,
    /// Those who were ever let in on good grounds.
    pub(crate) enrolled: Clients,
    /// Whether somebody was first since the first client was last awaited.
    pub(crate) first_was: bool,
    /// Whether the token has let somebody in.
    pub(crate) token_was_used: bool,
    pub(crate) left: Left,
    /// What should not have happened.
    pub(crate) fault: Option<&'static str>,
}

impl World {
    /// Of the worlds that differ only in which administrator and which daemon is which, always the same
    /// one: what can happen in it can happen in the others.
    fn representative(self) -> Self {
        let daemons_swapped = |world: &Self| {
            let mut other = world.clone();
            other.daemons.swap(0, 1);
            for call in &mut other.calls {
                match call {
                    Call::None => {}
                    Call::Claims(daemon)
                    | Call::Guesses(daemon)
                    | Call::Presents(daemon)
                    | Call::Wants(daemon, _) => {
                        *daemon = 1 - *daemon;
                    }
                }
            }
            if let Some((daemon, _)) = &mut other.root {
                *daemon = 1 - *daemon;
            }
            other
        };
        let clients_swapped = |world: &Self| {
            let mut other = world.clone();
            other.calls.swap(0, 1);
            for call in &mut other.calls {
                if let Call::Wants(_, wish) = call {
                    wish.swap();
                }
            }
            if let Some((_, wish)) = &mut other.root {
                wish.swap();
            }
            let known = other.daemons.iter_mut().flatten().map(|running| &mut running.known);
            for disk in known.chain([&mut other.disk]) {
                disk.trusted.swap();
                disk.read_only.swap();
                if let Some(Asker::Client(client)) = &mut disk.token
                    && *client < 2
                {
                    *client = 1 - *client;
                }
            }
            [&mut other.promised, &mut other.enrolled].into_iter().for_each(Clients::swap);
            other
        };
        let (daemons, clients) = (daemons_swapped(&self), clients_swapped(&self));
        let both = clients_swapped(&daemons);
        [daemons, clients, both].into_iter().fold(self, std::cmp::min)
    }
}

/// The protocol, with or without a flaw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    /// How many daemons there are, of two.
    pub(crate) daemons: usize,
    /// What may happen.
    pub(crate) left: Left,
    /// What is wrong with it.
    pub(crate) flaw: Flaw,
}

/// What may be wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// It checks that the first client is awaited when it is asked to admit one, and not again when it enrols it.
    CheckThenAdd,
    /// That an administrator was one when it was asked is enough for what it wants.
    AskedIsEnough,
    /// It enrols by a token, and keeps the token.
    TokenStays,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            disk: Disk { armed: true, passphrase: Some(Words::Right), ..Disk::default() },
            daemons: [None; DAEMONS.len()],
            calls: [Call::None; CLIENTS.len()],
            root: None,
            promised: Clients::default(),
            enrolled: Clients::default(),
            first_was: false,
            token_was_used: false,
            left: self.left,
            fault: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.fault.is_none() {
            actions.extend(world.possible(&DAEMONS[..self.daemons]));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(action, self.flaw);
        let next = next.representative();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing went wrong", |_, world: &World| world.fault.is_none()),
            Property::always("nobody is trusted without grounds", |_, world: &World| {
                world.disk.trusted.without(world.enrolled).is_empty()
            }),
            Property::always("nobody is forgotten", |_, world: &World| {
                world.promised.without(world.disk.trusted).is_empty()
            }),
            Property::always("no gate is open where nobody is trusted", |_, world: &World| {
                world.daemons.iter().flatten().all(|it| !it.open || !it.known.trusted.is_empty())
            }),
            Property::always("who is trusted is not awaited", |_, world: &World| {
                !world.disk.armed || world.disk.trusted.is_empty()
            }),
            Property::always("who may only read is trusted", |_, world: &World| {
                world.disk.read_only.without(world.disk.trusted).is_empty()
            }),
            // That these can happen shows that the model is not empty.
            Property::sometimes("one is first and another knew the passphrase", |_, world: &World| {
                world.promised.has(0) && world.promised.has(2)
            }),
            Property::sometimes("two claim, at two daemons if there are", |model: &Self, world: &World| {
                let both = |one, other| model.daemons == 1 || one != other;
                matches!(world.calls[..2], [Call::Claims(one), Call::Claims(other)] if both(one, other))
            }),
            Property::sometimes("a guess is overtaken by a change", |model: &Self, world: &World| {
                model.left.passphrases == 0
                    || matches!(world.calls[2], Call::Guesses(_))
                        && world.disk.passphrase == Some(Words::Other)
            }),
            Property::sometimes("root's wish is overtaken by a change", |model: &Self, world: &World| {
                // Where there are tokens, too little else happens for that.
                model.left.revocations == 0
                    || model.left.tokens > 0
                    || matches!(world.root, Some((_, Wish::Revoke(client))) if !world.disk.trusted.has(client))
            }),
            Property::sometimes(
                "a client's wish is overtaken by its revocation",
                |model: &Self, world: &World| {
                    let overtaken = |client: Client| {
                        matches!(world.calls[client], Call::Wants(..)) && !world.disk.trusted.has(client)
                    };
                    model.left.clients_wishes == 0
                        || model.left.revocations == 0
                        || CLIENTS.into_iter().any(overtaken)
                },
            ),
            Property::sometimes(
                "a client's wish is overtaken by its reduction",
                |model: &Self, world: &World| {
                    let overtaken = |client: Client| {
                        matches!(world.calls[client], Call::Wants(..)) && world.disk.read_only.has(client)
                    };
                    model.left.levels == 0 || CLIENTS.into_iter().any(overtaken)
                },
            ),
            Property::sometimes("who may only read knows the passphrase", |model: &Self, world: &World| {
                model.left.levels == 0
                    || matches!(world.calls[2], Call::Guesses(_)) && world.disk.read_only.has(2)
            }),
            Property::always("whose token there is may make one", |_, world: &World| {
                world.disk.token.is_none_or(|maker| world.disk.obeys(maker))
            }),
            Property::sometimes(
                "two present the token, at two daemons if there are",
                |model: &Self, world: &World| {
                    let mut at = world.calls.iter().filter_map(|call| match call {
                        Call::Presents(daemon) => Some(*daemon),
                        _ => None,
                    });
                    let both = |(one, other)| model.daemons == 1 || one != other;
                    model.left.tokens == 0 || at.next().zip(at.next()).is_some_and(both)
                },
            ),
            Property::sometimes("a presented token ends with its maker", |model: &Self, world: &World| {
                let presented = world.calls.iter().any(|call| matches!(call, Call::Presents(_)));
                let ended = world.disk.token.is_none() && !world.token_was_used;
                model.left.tokens == 0 || presented && ended && world.left.revocations == 0
            }),
            Property::sometimes("the first client is awaited again", |_, world: &World| {
                world.left.recoveries == 0 && world.disk.armed
            }),
        ]
    }
}
