//! The one token that there is in the model, and what becomes of whoever presents it.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use auth_core::testkit::NoGate;
use auth_core::{Actor, Change, Level, Moment, PresentedToken, Token, TokenHash, TokenSecret, TrustStore};

use crate::daemon::{Death, authority, caller, fingerprint};
use crate::wishes::Asker;
use crate::world::{CLIENTS, Call, Client, Disk, Flaw, World};

const SECRET: &str = "00112233445566778899aabbccddeeff";

static HASH: LazyLock<TokenHash> = LazyLock::new(|| TokenSecret::parse(SECRET).unwrap().hash());

/// The token, as each client presents it to some daemon while it is there.
static PRESENTED: LazyLock<Vec<PresentedToken>> = LazyLock::new(|| {
    let disk = Disk { token: Some(Asker::Root), ..Disk::default() };
    let daemon = authority(Arc::new(disk.load()), Box::new(NoGate), Arc::default());
    CLIENTS.map(|client| daemon.present_token(&caller(client), SECRET).expect("it is there")).into()
});

pub(crate) fn hash() -> TokenHash {
    *HASH
}

/// Time does not pass here.
pub(crate) fn moment() -> Moment {
    Moment { clock: SystemTime::UNIX_EPOCH, running: Instant::now() }
}

/// The token, as somebody made it: by it, whoever has it comes to do everything.
pub(crate) fn of(maker: Asker) -> Token {
    let created = SystemTime::UNIX_EPOCH;
    Token {
        id: hash().id(),
        name: None,
        level: Level::Full,
        created,
        expires: created + Duration::from_secs(30 * 24 * 60 * 60),
        by: match maker {
            Asker::Root => Actor::Administrator,
            Asker::Client(client) => Actor::Client(fingerprint(client)),
        },
    }
}

/// That it is made.
pub(crate) fn made(maker: Asker) -> Change<'static> {
    Change::CreateToken { hash: hash(), token: of(maker), at: moment() }
}

/// Who has made the one that is in a store.
pub(crate) fn maker(store: &dyn TrustStore) -> Option<Asker> {
    let token = store.token(&hash()).ok()?;
    let makers = CLIENTS.into_iter().map(Asker::Client).chain([Asker::Root]);
    Some(makers.into_iter().find(|maker| of(*maker) == token).expect("one of them"))
}

impl World {
    /// A client that has presented the token is let in by it, or not.
    pub(crate) fn redeem(&mut self, client: Client, death: Option<Death>, flaw: Flaw) {
        let Call::Presents(daemon) = self.calls[client] else { return };
        self.calls[client] = Call::None;
        let before = self.disk;
        let knows = self.knows(daemon) == before;
        let grounds = before.token.is_some() && !before.obeys(Asker::Client(client));
        let let_in = self.at(daemon, death, flaw, |it, _| it.redeem(&PRESENTED[client], moment()).is_ok());
        if let_in == Some(false) && grounds && knows {
            self.blame("a good token was refused");
        }
        self.note_gain(client, before, grounds);
        let gained = self.disk.obeys(Asker::Client(client)) && !before.obeys(Asker::Client(client));
        if gained && self.disk.token.is_some() {
            self.blame("a token stays that was used");
        }
        if gained && self.token_was_used {
            self.blame("a token was used twice");
        }
        self.token_was_used |= gained;
        self.answered(client, daemon, let_in);
    }
}
