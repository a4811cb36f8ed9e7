//! What a store knows at one moment, whatever it keeps it in.

use std::collections::HashMap;

use super::tokens::{self, StoredToken, Tokens};
use super::{Change, Condition, Enrolment};
use crate::{Actor, Fingerprint, InvalidToken, Level, Moment, PassphraseHash, Token, TokenHash};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Those that are trusted, each at its level.
    pub(super) clients: HashMap<Fingerprint, Level>,
    pub(super) passphrase: Option<PassphraseHash>,
    /// Whether anybody ever said whether there is a passphrase.
    pub(super) passphrase_is_decided: bool,
    /// Also those that have ended, and were not taken out yet.
    pub(super) tokens: Tokens,
    /// Whether the first client is awaited.
    pub(super) armed: bool,
}

impl State {
    /// Whether a change may be made.
    pub(super) fn permits(&self, change: &Change<'_>) -> bool {
        match change {
            Change::Enrol(enrolment) => match &enrolment.condition {
                Condition::FirstClient | Condition::FirstByInstaller => self.armed,
                Condition::PassphraseIs(hash) => self.passphrase.as_ref() == Some(hash),
                Condition::WantedBy(actor) => {
                    let now = self.clients.get(&enrolment.certificate.fingerprint());
                    self.obeys(*actor) && now.is_none_or(|level| *level == enrolment.level)
                }
                Condition::Token { hash, token, at } => {
                    let now = self.clients.get(&enrolment.certificate.fingerprint());
                    let is_kept = self
                        .tokens
                        .get(hash)
                        .is_some_and(|kept| kept.token == *token && self.why_over(kept, *at).is_none());
                    is_kept && token.level == enrolment.level && now.is_none_or(|level| *level < token.level)
                }
            },
            Change::Revoke { client, by, .. } => {
                (self.obeys(*by) || *by == Actor::Client(*client)) && self.clients.contains_key(client)
            }
            Change::SetLevel { client, by, .. } | Change::Rename { client, by, .. } => {
                self.obeys(*by) && self.clients.contains_key(client)
            }
            Change::SetPassphrase { by, .. } => self.obeys(*by),
            Change::CreateToken { hash, token, at } => {
                let is_new = self.tokens.get(hash).is_none() && self.tokens.hash_of(token.id).is_none();
                self.obeys(token.by) && is_new && self.live_tokens(*at).count() < tokens::MOST
            }
            Change::RevokeToken { id, by, .. } => self.obeys(*by) && self.tokens.hash_of(*id).is_some(),
            Change::AwaitFirst => self.clients.is_empty(),
            Change::TakeOver(what) => what.is_permitted(self),
        }
    }

    /// Whether whoever wants a change may still want it: between the question and the change, a client may
    /// have been revoked, or its level lowered.
    pub(super) fn obeys(&self, actor: Actor) -> bool {
        match actor {
            Actor::Client(client) => self.clients.get(&client) == Some(&Level::Full),
            Actor::Administrator => true,
        }
    }

    /// A token by the hash of its secret, or how it has ended as far as that is known.
    pub(super) fn token(&self, hash: &TokenHash) -> Result<Token, InvalidToken> {
        self.tokens.get(hash).map(|kept| kept.token.clone()).ok_or_else(|| self.tokens.how_ended(hash))
    }

    /// The tokens that may be redeemed at a moment.
    pub(super) fn live_tokens(&self, at: Moment) -> impl Iterator<Item = &Token> {
        let live = self.tokens.iter().filter(move |kept| self.why_over(kept, at).is_none());
        live.map(|kept| &kept.token)
    }

    /// Why a token that is kept may not be redeemed.
    fn why_over(&self, kept: &StoredToken, at: Moment) -> Option<InvalidToken> {
        match kept.is_over(at) {
            true => Some(InvalidToken::Expired),
            false => (!self.obeys(kept.token.by)).then_some(InvalidToken::Orphaned),
        }
    }

    /// Takes out the tokens that have ended by a moment: those that have expired, and those of clients that are not of
    /// the full level any more. Says whether there were any.
    pub(super) fn sweep_tokens(&mut self, at: Moment) -> bool {
        let mut tokens = std::mem::take(&mut self.tokens);
        let before = tokens.len();
        tokens.end_those(|kept| self.why_over(kept, at));
        self.tokens = tokens;
        self.tokens.len() != before
    }

    /// The part of a permitted change that is about tokens, which comes first: a token is spent before it enrols, and
    /// those that ended with the trust in a client are gone before it is trusted again. Says whether they are to be
    /// written.
    pub(super) fn apply_to_tokens(&mut self, change: &Change<'_>) -> bool {
        let Some(at) = change.moment() else { return false };
        let have_ended = self.sweep_tokens(at);
        let is_of_them = match change {
            Change::CreateToken { hash, token, at } => {
                self.tokens.keep(*hash, token, *at);
                true
            }
            Change::RevokeToken { id, .. } => {
                if let Some(hash) = self.tokens.hash_of(*id) {
                    self.tokens.end(hash, InvalidToken::Revoked);
                }
                true
            }
            Change::Enrol(Enrolment { condition: Condition::Token { hash, .. }, .. }) => {
                self.tokens.end(*hash, InvalidToken::Spent);
                true
            }
            _ => false,
        };
        if have_ended || is_of_them {
            self.tokens.advance(at);
        }
        have_ended || is_of_them
    }

    /// What a change that is not permitted leaves: a token that has expired is gone for good once somebody has tried it,
    /// and does not cost a look at the files a second time. Says whether the tokens are to be written.
    pub(super) fn apply_refusal(&mut self, change: &Change<'_>) -> bool {
        let Change::Enrol(Enrolment { condition: Condition::Token { at, .. }, .. }) = change else {
            return false;
        };
        let have_ended = self.sweep_tokens(*at);
        if have_ended {
            self.tokens.advance(*at);
        }
        have_ended
    }

    /// Makes a change that is permitted.
    #[cfg(feature = "testkit")]
    pub(super) fn apply(&mut self, change: &Change<'_>) {
        self.apply_to_tokens(change);
        self.apply_to_trust(change);
    }

    /// The rest of a permitted change. Says whether it has ended tokens, which are void and to be written.
    pub(super) fn apply_to_trust(&mut self, change: &Change<'_>) -> bool {
        match change {
            Change::Enrol(enrolment) => {
                self.clients.insert(enrolment.certificate.fingerprint(), enrolment.level);
                self.armed = false;
            }
            Change::Revoke { client, .. } => {
                self.clients.remove(client);
            }
            Change::SetLevel { client, level, .. } => {
                self.clients.insert(*client, *level);
            }
            Change::Rename { .. } | Change::CreateToken { .. } | Change::RevokeToken { .. } => {}
            Change::SetPassphrase { passphrase, .. } => {
                self.passphrase.clone_from(passphrase);
                self.passphrase_is_decided = true;
            }
            Change::AwaitFirst => self.armed = true,
            Change::TakeOver(what) => what.apply(self),
        }
        change.moment().is_some_and(|at| self.sweep_tokens(at))
    }
}
