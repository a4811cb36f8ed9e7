//! Changing the passphrase, whichever way a client asks for it.

use std::time::SystemTime;

use auth_core::{Administrator, Authority, ChangeError, Passphrase};
use secrecy::{ExposeSecret, SecretString};
use tonic::Status;

use super::{Service, status};

/// Sets the passphrase; the empty one unsets it.
pub(super) async fn change(service: &Service, by: Administrator, value: SecretString) -> Result<(), Status> {
    if rpc::trust::begins_like_token(value.expose_secret()) {
        return Err(Status::invalid_argument(
            "a passphrase that begins as a token does would be taken for one; choose another one",
        ));
    }
    let passphrase = match value.expose_secret().is_empty() {
        true => None,
        false => Some(
            Passphrase::new(value)
                .map_err(|e| Status::invalid_argument(format!("{e}; choose another one")))?,
        ),
    };
    let sets = passphrase.is_some();
    // Logged where it is done: the caller may leave before that, and does not take it back.
    let change = move |authority: &Authority| {
        authority.set_passphrase(&by, passphrase.as_ref(), SystemTime::now()).map_err(
            |error| match error {
                ChangeError::Hash(_) => {
                    tracing::error!("setting the passphrase: {error}");
                    Status::resource_exhausted(
                        "The passphrase was not changed: too little memory to hash it.",
                    )
                }
                error => status::not_changed("The passphrase was not changed", &error),
            },
        )?;
        tracing::info!("{} {} the passphrase", by.actor(), if sets { "set" } else { "unset" });
        Ok(())
    };
    match sets {
        true => service.in_turn(&service.client_hashing, change).await?,
        false => service.blocking(change).await?,
    }
}
