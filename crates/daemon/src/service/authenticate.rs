//! `ping` and `authenticate`, which peers may call that are not authenticated. A third call for them, which redeems a
//! token, is in `tokens`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use auth_core::{Denied, Passphrase, PassphraseError};
use rpc::{AuthenticateReply, AuthenticateRequest, PingReply, PingRequest};
use secrecy::SecretString;
use tonic::{Code, Status};

use super::{PeerSession, Service, status};
use crate::audit::Refusals;

/// Says whether the caller is trusted, and enrols nobody.
pub(super) async fn ping(
    service: &Service,
    session: &Arc<PeerSession>,
    _: PingRequest,
) -> Result<PingReply, Status> {
    match service.authority.recognise(session.caller()) {
        Ok(client) => {
            session.admit_client(&client);
            Ok(PingReply {})
        }
        Err(_) => Err(Status::new(Code::Unauthenticated, "")),
    }
}

/// Lets in who knows the passphrase.
pub(super) async fn authenticate(
    service: &Service,
    session: &Arc<PeerSession>,
    mut request: AuthenticateRequest,
) -> Result<AuthenticateReply, Status> {
    let given = std::mem::take(&mut *request.take_passphrase());
    let given = SecretString::from(given);
    if !service.authority.passphrase_is_set() {
        // Said first, whatever was given: a guess tells nothing here and costs nothing.
        return Err(refuse(&service.refusals, session, &Denied::NoPassphraseSet));
    }
    let passphrase = Passphrase::new(given).map_err(|error| match error {
        PassphraseError::Empty => Status::invalid_argument("No passphrase was given."),
        // None that is set is as long as that.
        _ => status::not_authenticated(&Denied::WrongPassphrase),
    })?;
    // Counted before it waits for its turn, so that a crowd of guesses is not a queue of hashes.
    let guess = service
        .authority
        .begin_guess(session.caller(), passphrase, Instant::now())
        .map_err(|denied| refuse(&service.refusals, session, &denied))?;
    // A client of the full level neither queues behind others, nor do they queue behind it.
    let permits = if guess.is_a_full_clients() { &service.client_hashing } else { &service.guess_hashing };
    let (refusals, guesser) = (service.refusals.clone(), Arc::clone(session));
    let client = service
        .in_turn(permits, move |authority| {
            // Logged where it is decided: the caller may leave before that, and does not take it back.
            match authority.authenticate(guess, SystemTime::now()) {
                Ok(client) => {
                    let channel = &guesser.caller().channel;
                    tracing::info!("{} from {channel} authenticated with the passphrase", client.client());
                    if authority.passphrase_hash_is_stocks() {
                        tracing::warn!(
                            "the passphrase's hash is still the stock service's, without salt: it was not all of the \
                             passphrase that was hashed, or ours could not be stored; set the passphrase again"
                        );
                    }
                    Ok(client)
                }
                Err(denied) => Err(refuse(&refusals, &guesser, &denied)),
            }
        })
        .await??;
    session.admit_client(&client);
    Ok(AuthenticateReply::default())
}

fn refuse(refusals: &Refusals, session: &PeerSession, denied: &Denied) -> Status {
    refusals.record("authenticate", session.caller(), denied);
    status::not_authenticated(denied)
}
