//! Our own service: who is trusted, told and changed by clients of the full level and by root on this machine.

use std::time::SystemTime;

use auth_core::{
    Added, Administrator, Authenticated, Authority, ChangeError, ClientCertificate, ClientName, Fingerprint,
    Level, TrustedClient,
};
use rpc::trust::{
    AddReply, AddRequest, Client, DeauthenticateReply, DeauthenticateRequest, ListReply, ListRequest,
    PassphraseIsSetReply, PassphraseIsSetRequest, RenameReply, RenameRequest, RevokeReply, RevokeRequest,
    SetLevelReply, SetLevelRequest, SetPassphraseReply, SetPassphraseRequest,
};
use secrecy::SecretString;
use tonic::Status;

use super::{Service, passphrase, status};
use crate::timestamp::rfc3339_seconds;
use crate::trust::presence::Presence;

/// Lists the trusted clients.
pub(super) async fn list(service: &Service, by: &Administrator, _: ListRequest) -> Result<ListReply, Status> {
    let by = by.clone();
    let clients = service
        .blocking(move |authority| authority.clients(&by))
        .await?
        .map_err(|error| status::not_changed("The clients cannot be listed", &error))?;
    let message = |client| message(client, &service.presence);
    Ok(ListReply { clients: clients.into_iter().map(message).collect() })
}

fn message(client: TrustedClient, presence: &Presence) -> Client {
    let seen = presence.of(&client.fingerprint);
    Client {
        fingerprint: client.fingerprint.to_string(),
        name: client.name.unwrap_or_default(),
        added: client.added.unwrap_or_default(),
        how: client.how.unwrap_or_default(),
        from: client.from.unwrap_or_default(),
        level: client.level.to_string(),
        last_seen: seen.map(|seen| rfc3339_seconds(seen.last)).unwrap_or_default(),
        connections: seen.map_or(0, |seen| seen.connections),
    }
}

/// Trusts a client.
pub(super) async fn add(
    service: &Service,
    by: &Administrator,
    request: AddRequest,
) -> Result<AddReply, Status> {
    let certificate = ClientCertificate::from_pem(request.certificate.as_bytes())
        .map_err(|error| Status::invalid_argument(format!("The certificate cannot be used: {error}.")))?;
    let name: Option<ClientName> = match request.name.as_str() {
        "" => None,
        name => Some(parse_name(name)?),
    };
    let level = parse_level(&request.level)?;
    let (by, client) = (by.clone(), certificate.fingerprint());
    let add = move |authority: &Authority| {
        let added = authority
            .add(&by, &certificate, level, name.as_ref(), SystemTime::now())
            .map_err(|error| status::not_changed("The client was not added", &error))?;
        let again = if added == Added::New { "" } else { ", which was trusted already" };
        tracing::info!("{} added the client {client} at the level {level}{again}", by.actor());
        Ok::<_, Status>(added)
    };
    let (was_trusted, name) = match service.blocking(add).await?? {
        Added::New => (false, String::new()),
        Added::Known(name) => (true, name.unwrap_or_default()),
    };
    Ok(AddReply { fingerprint: client.to_string(), was_trusted, name })
}

/// Ends the trust in a client.
pub(super) async fn revoke(
    service: &Service,
    by: &Administrator,
    request: RevokeRequest,
) -> Result<RevokeReply, Status> {
    let (by, client) = (by.clone(), parse_fingerprint(&request.fingerprint)?);
    let revoke = move |authority: &Authority| {
        authority
            .revoke(&by, client, SystemTime::now())
            .map_err(|error| not_changed("The client was not revoked", client, &error))?;
        tracing::info!("{} revoked the client {client}", by.actor());
        Ok(RevokeReply { passphrase_is_set: authority.passphrase_is_set() })
    };
    service.blocking(revoke).await?
}

/// Has a trusted client do more, or less.
pub(super) async fn set_level(
    service: &Service,
    by: &Administrator,
    request: SetLevelRequest,
) -> Result<SetLevelReply, Status> {
    let (by, client) = (by.clone(), parse_fingerprint(&request.fingerprint)?);
    let level = parse_level(&request.level)?;
    let set_level = move |authority: &Authority| {
        authority
            .set_level(&by, client, level, SystemTime::now())
            .map_err(|error| not_changed("The client's level was not changed", client, &error))?;
        tracing::info!("{} set the level of the client {client} to {level}", by.actor());
        Ok(SetLevelReply {})
    };
    service.blocking(set_level).await?
}

/// Calls a trusted client something else.
pub(super) async fn rename(
    service: &Service,
    by: &Administrator,
    request: RenameRequest,
) -> Result<RenameReply, Status> {
    let (by, client) = (by.clone(), parse_fingerprint(&request.fingerprint)?);
    let name = parse_name(&request.name)?;
    let rename = move |authority: &Authority| {
        authority
            .rename(&by, client, &name, SystemTime::now())
            .map_err(|error| not_changed("The client was not renamed", client, &error))?;
        tracing::info!("{} named the client {client} {name}", by.actor());
        Ok(RenameReply {})
    };
    service.blocking(rename).await?
}

/// Ends the trust in the client that calls.
pub(super) async fn deauthenticate(
    service: &Service,
    client: &Authenticated,
    _: DeauthenticateRequest,
) -> Result<DeauthenticateReply, Status> {
    let client = client.clone();
    let leave = move |authority: &Authority| {
        authority
            .leave(&client, SystemTime::now())
            .map_err(|error| status::not_changed("This client is still trusted", &error))?;
        tracing::info!("the client {} gave up its trust", client.client());
        Ok(DeauthenticateReply {})
    };
    service.blocking(leave).await?
}

fn parse_fingerprint(fingerprint: &str) -> Result<Fingerprint, Status> {
    fingerprint.parse().map_err(|error| Status::invalid_argument(format!("That names no client: {error}.")))
}

pub(super) fn parse_name(name: &str) -> Result<ClientName, Status> {
    name.parse().map_err(|error| Status::invalid_argument(format!("{error}.")))
}

pub(super) fn parse_level(level: &str) -> Result<Level, Status> {
    level.parse().map_err(|error| Status::invalid_argument(format!("{error}.")))
}

/// To a change to one client that was not made.
fn not_changed(what: &str, client: Fingerprint, error: &ChangeError) -> Status {
    match error {
        ChangeError::NotTrusted => {
            Status::not_found(format!("No client with the fingerprint {client} is trusted."))
        }
        error => status::not_changed(what, error),
    }
}

/// Sets the passphrase, or removes it.
pub(super) async fn set_passphrase(
    service: &Service,
    by: &Administrator,
    mut request: SetPassphraseRequest,
) -> Result<SetPassphraseReply, Status> {
    let value = SecretString::from(std::mem::take(&mut *request.take_passphrase()));
    passphrase::change(service, by.clone(), value).await?;
    Ok(SetPassphraseReply {})
}

/// Tells whether a passphrase is set: to root, whom `get` does not admit, and who may set one all the same.
pub(super) async fn passphrase_is_set(
    service: &Service,
    by: &Administrator,
    _: PassphraseIsSetRequest,
) -> Result<PassphraseIsSetReply, Status> {
    let is_set = service.authority.has_passphrase(by);
    let is_set = is_set.map_err(|error| status::not_changed("The passphrase is not looked at", &error))?;
    Ok(PassphraseIsSetReply { is_set })
}
