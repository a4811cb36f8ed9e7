//! The daemon's settings: `get`, `set` and `keys`.

use auth_core::{Authenticated, Authority, Passphrase, SetPassphraseError};
use rpc::{GetReply, GetRequest, KeysReply, KeysRequest, SetReply, SetRequest};
use secrecy::SecretString;
use tonic::Status;

use super::Service;
use crate::logging::with_causes;

/// The setting whose value is never told.
const PASSPHRASE: &str = "local.passphrase";

/// Settings of instances and their driver, which this daemon has not got: they have no value.
const WITHOUT_DRIVER: &[&str] =
    &["local.bridged-network", "local.driver", "local.image.mirror", "local.privileged-mounts"];

/// Tells a setting; of the passphrase, only whether one is set: `true` or nothing.
pub(super) async fn get(
    service: &Service,
    _by: &Authenticated,
    request: GetRequest,
) -> Result<GetReply, Status> {
    let value = match request.key.as_str() {
        PASSPHRASE if service.authority.passphrase_is_set() => "true",
        PASSPHRASE => "",
        key if WITHOUT_DRIVER.contains(&key) => "",
        key => return Err(unknown(key)),
    };
    Ok(GetReply { value: value.to_owned(), ..Default::default() })
}

/// Changes a setting. The empty passphrase unsets it.
pub(super) async fn set(
    service: &Service,
    by: &Authenticated,
    mut request: SetRequest,
) -> Result<SetReply, Status> {
    match request.key.as_str() {
        PASSPHRASE => {}
        key if WITHOUT_DRIVER.contains(&key) => {
            return Err(Status::failed_precondition(format!(
                "'{key}' cannot be set: this daemon has no driver to run instances with."
            )));
        }
        key => return Err(unknown(key)),
    }
    let value = SecretString::from(std::mem::take(&mut *request.take_val()));
    let passphrase = match secrecy::ExposeSecret::expose_secret(&value).is_empty() {
        true => None,
        false => Some(Passphrase::new(value).map_err(|e| Status::invalid_argument(e.to_string()))?),
    };
    let (by, sets) = (by.clone(), passphrase.is_some());
    // Logged where it is done: the caller may leave before that, and does not take it back.
    let change = move |authority: &Authority| match authority.set_passphrase(&by, passphrase.as_ref()) {
        Ok(()) => {
            tracing::info!("{} {} the passphrase", by.client(), if sets { "set" } else { "unset" });
            Ok(SetReply::default())
        }
        Err(error) => {
            tracing::error!("set {PASSPHRASE}: {}", with_causes(&error));
            Err(match error {
                SetPassphraseError::Store(error) => Status::internal(format!(
                    "The passphrase was not changed: {}. Mend this on the service's machine and try again.",
                    with_causes(&error)
                )),
                _ => Status::resource_exhausted(
                    "The passphrase was not changed: too little memory to hash it.",
                ),
            })
        }
    };
    match sets {
        true => service.hashing(&service.clients_hash, change).await?,
        false => service.blocking(change).await?,
    }
}

/// All keys, in order.
pub(super) async fn keys(_: &Service, _by: &Authenticated, _: KeysRequest) -> Result<KeysReply, Status> {
    let mut settings_keys: Vec<String> =
        WITHOUT_DRIVER.iter().chain(&[PASSPHRASE]).map(|key| (*key).to_owned()).collect();
    settings_keys.sort();
    Ok(KeysReply { settings_keys, ..Default::default() })
}

fn unknown(key: &str) -> Status {
    // What follows a '=' was meant as a value, and may be a passphrase.
    let shown = key.split_once('=').map(|(key, _)| format!("{key}=…"));
    let key = shown.as_deref().unwrap_or(key);
    Status::invalid_argument(format!("Unrecognized settings key: '{}'", key.escape_debug()))
}
