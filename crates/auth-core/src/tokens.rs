//! What is done with tokens: administrators make, list and revoke them, and whoever has one redeems it.
//!
//! A token is not slowed down as a passphrase is: nobody guesses 128 bits. What costs anything happens for a token
//! that is there; one that is not costs a stranger's call and no file.

use crate::token::within_range;
use crate::{
    Actor, Administrator, Authenticated, Authority, Caller, Change, ChangeError, Channel, ClientCertificate,
    ClientName, Condition, Denied, Enrolment, Fingerprint, InvalidToken, Level, Moment, Outcome, Token,
    TokenHash, TokenId, TokenLife, TokenSecret,
};

/// A token that was just made. Its secret is nowhere else.
#[derive(Debug)]
pub struct NewToken {
    /// What is known of it.
    pub token: Token,
    /// What its holder presents.
    pub secret: TokenSecret,
}

/// A token that a caller has presented, and that was there at that moment.
#[derive(Debug)]
pub struct PresentedToken {
    certificate: ClientCertificate,
    channel: Channel,
    hash: TokenHash,
}

impl PresentedToken {
    /// What it is called.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.hash.id()
    }
}

impl Authority {
    /// Makes a token by which one client, called `name` from then on, comes to do as much as `level` says.
    /// *Blocking*.
    ///
    /// # Errors
    /// There are too many tokens, or it could not be made or stored.
    pub fn create_token(
        &self,
        by: &Administrator,
        name: Option<ClientName>,
        level: Level,
        life: TokenLife,
        now: Moment,
    ) -> Result<NewToken, ChangeError> {
        let secret = TokenSecret::generate().map_err(ChangeError::NoRandomness)?;
        let hash = secret.hash();
        let created = within_range(now.clock);
        let expires = within_range(created + life.duration());
        let token = Token { id: hash.id(), name, level, created, expires, by: by.actor };
        let change = Change::CreateToken { hash, token: token.clone(), at: now };
        match self.commit(&change, by.actor, Some(&by.channel), now.clock)? {
            Outcome::Changed => Ok(NewToken { token, secret }),
            Outcome::ConditionFailed => Err(self.no_longer(by).unwrap_or(ChangeError::TooManyTokens)),
        }
    }

    /// The tokens that may be redeemed now, the next to end first. Never blocks.
    ///
    /// # Errors
    /// Whoever asks is no administrator any more.
    pub fn tokens(&self, by: &Administrator, now: Moment) -> Result<Vec<Token>, ChangeError> {
        if let Some(why) = self.no_longer(by) {
            return Err(why);
        }
        let mut tokens = self.store.tokens(now);
        tokens.sort_by_key(|token| (token.expires, token.id));
        Ok(tokens)
    }

    /// Ends a token that was not redeemed. *Blocking*.
    ///
    /// # Errors
    /// There is no such token, or its end could not be stored.
    pub fn revoke_token(&self, by: &Administrator, id: TokenId, now: Moment) -> Result<(), ChangeError> {
        let change = Change::RevokeToken { id, by: by.actor, at: now };
        match self.commit(&change, by.actor, Some(&by.channel), now.clock)? {
            Outcome::Changed => Ok(()),
            Outcome::ConditionFailed => Err(self.no_longer(by).unwrap_or(ChangeError::NoSuchToken)),
        }
    }

    /// Whether the secret that a caller gives is a token's. Never blocks, so that it costs no file to be refused.
    ///
    /// # Errors
    /// It is not, or the caller has no certificate that could be trusted for it.
    pub fn present_token(&self, caller: &Caller, secret: &str) -> Result<PresentedToken, Denied> {
        let certificate = caller.certificate.clone().ok_or(Denied::NoCertificate)?;
        let Some(secret) = TokenSecret::parse(secret) else {
            return Err(Denied::TokenNotValid(InvalidToken::Unknown));
        };
        let hash = secret.hash();
        self.store.token(&hash).map_err(Denied::TokenNotValid)?;
        Ok(PresentedToken { certificate, channel: caller.channel.clone(), hash })
    }

    /// Trusts who has presented a token, as much as it gives, and spends it; also who was revoked, and who may only
    /// read and has a token that gives more. Gives the name that it gives, too. *Blocking*.
    ///
    /// The token is spent first. A crash right then leaves one that nobody can use, and a client that is not enrolled
    /// and was not told that it is; never one that can be used again.
    ///
    /// # Errors
    /// The token is none any more, the client may do as much already, or it could not be stored.
    pub fn redeem(
        &self,
        presented: &PresentedToken,
        now: Moment,
    ) -> Result<(Authenticated, Option<ClientName>), Denied> {
        let PresentedToken { certificate, channel, hash } = presented;
        let client = certificate.fingerprint();
        // Whoever presented the same one and was quicker has spent it, and costs no file.
        let token = self.store.token(hash).map_err(Denied::TokenNotValid)?;
        self.has_not_yet(client, token.level)?;
        let (level, name, at) = (token.level, token.name.clone(), now.clock);
        let condition = Condition::Token { hash: *hash, token, at: now };
        let name_given = name.as_ref();
        let enrolment =
            Enrolment { condition, certificate, level, channel: Some(channel), name: name_given, at };
        if self.enrol(enrolment, Actor::Client(client))? {
            return Ok((Authenticated { client, level, channel: channel.clone() }, name));
        }
        let token = self.store.token(hash).map_err(Denied::TokenNotValid)?;
        self.has_not_yet(client, token.level)?;
        Err(Denied::TokenNotValid(InvalidToken::Unknown))
    }

    fn has_not_yet(&self, client: Fingerprint, level: Level) -> Result<(), Denied> {
        match self.store.level(&client) {
            Some(already) if already >= level => Err(Denied::TrustedAlready(already)),
            _ => Ok(()),
        }
    }
}
