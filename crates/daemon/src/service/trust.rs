//! Our own service: who is trusted, told and changed by trusted clients and by root on this machine.

use std::time::SystemTime;

use auth_core::{Administrator, ChangeError, ClientCertificate, ClientName, Fingerprint, TrustedClient};
use rpc::trust::{
    AddReply, AddRequest, Client, ListReply, ListRequest, RevokeReply, RevokeRequest, SetPassphraseReply,
    SetPassphraseRequest,
};
use secrecy::SecretString;
use tonic::Status;

use super::{Service, passphrase, status};
use crate::logging::with_causes;

/// Lists the trusted clients.
pub(super) async fn list(service: &Service, by: &Administrator, _: ListRequest) -> Result<ListReply, Status> {
    let by = by.clone();
    let clients = service.blocking(move |authority| authority.clients(&by)).await?.map_err(|error| {
        tracing::error!("listing the clients: {}", with_causes(&error));
        Status::internal(format!("The clients cannot be listed: {}.", with_causes(&error)))
    })?;
    Ok(ListReply { clients: clients.into_iter().map(message).collect() })
}

fn message(client: TrustedClient) -> Client {
    Client {
        fingerprint: client.fingerprint.to_string(),
        name: client.name.unwrap_or_default(),
        added: client.added.unwrap_or_default(),
        how: client.how.unwrap_or_default(),
        from: client.from.unwrap_or_default(),
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
        name => Some(name.parse().map_err(|error| Status::invalid_argument(format!("{error}.")))?),
    };
    let (by, client) = (by.clone(), certificate.fingerprint());
    let add = move |authority: &auth_core::Authority| {
        authority
            .add(&by, &certificate, name.as_ref(), SystemTime::now())
            .map_err(|error| status::not_changed("The client was not added", &error))?;
        tracing::info!("{} added the client {client}", by.actor());
        Ok::<_, Status>(())
    };
    service.blocking(add).await??;
    Ok(AddReply { fingerprint: client.to_string() })
}

/// Ends the trust in a client.
pub(super) async fn revoke(
    service: &Service,
    by: &Administrator,
    request: RevokeRequest,
) -> Result<RevokeReply, Status> {
    let client: Fingerprint = request
        .fingerprint
        .parse()
        .map_err(|error| Status::invalid_argument(format!("That names no client: {error}.")))?;
    let by = by.clone();
    let revoke = move |authority: &auth_core::Authority| {
        authority.revoke(&by, client, SystemTime::now()).map_err(|error| match error {
            ChangeError::NotTrusted => {
                Status::not_found(format!("No client with the fingerprint {client} is trusted."))
            }
            error => status::not_changed("The client was not revoked", &error),
        })?;
        tracing::info!("{} revoked the client {client}", by.actor());
        Ok(RevokeReply { passphrase_is_set: authority.passphrase_is_set() })
    };
    service.blocking(revoke).await?
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
