//! `ping` and `authenticate`: the two calls that strangers may make.

use std::sync::Arc;
use std::time::SystemTime;

use auth_core::{Caller, Denied, Passphrase, PassphraseError};
use rpc::{AuthenticateReply, AuthenticateRequest, PingReply, PingRequest};
use secrecy::SecretString;
use tonic::{Code, Status};

use super::{Service, status};

/// Says whether the caller is trusted, and enrols nobody.
pub(super) async fn ping(
    service: &Service,
    caller: Arc<Caller>,
    _: PingRequest,
) -> Result<PingReply, Status> {
    match service.authority.recognise(&caller) {
        Ok(_) => Ok(PingReply {}),
        Err(_) => Err(Status::new(Code::Unauthenticated, "")),
    }
}

/// Lets in who knows the passphrase.
pub(super) async fn authenticate(
    service: &Service,
    caller: Arc<Caller>,
    mut request: AuthenticateRequest,
) -> Result<AuthenticateReply, Status> {
    let given = std::mem::take(&mut *request.take_passphrase());
    let given = SecretString::from(given);
    let channel = caller.channel.clone();
    let judged = if !service.authority.passphrase_is_set() {
        // Said first, whatever was given: a guess tells nothing here and costs nothing.
        Err(Denied::NoPassphraseSet)
    } else {
        let passphrase = Passphrase::new(given).map_err(|error| match error {
            PassphraseError::Empty => Status::invalid_argument("No passphrase was given."),
            // None that is set is as long as that.
            _ => status::not_authenticated(&Denied::WrongPassphrase),
        })?;
        service
            .hashing(move |authority| authority.authenticate(&caller, &passphrase, SystemTime::now()))
            .await?
    };
    match judged {
        Ok(client) => {
            tracing::info!("{} from {channel} authenticated with the passphrase", client.client());
            Ok(AuthenticateReply::default())
        }
        Err(denied) => {
            match &denied {
                Denied::Store(_) | Denied::Gate(_) => {
                    tracing::error!("authenticate from {channel}: {denied}")
                }
                _ => tracing::info!("refused authenticate from {channel}: {denied}"),
            }
            Err(status::not_authenticated(&denied))
        }
    }
}
