//! The daemon's settings: `get`, `set` and `keys`.

use auth_core::Authenticated;
use rpc::{GetReply, GetRequest, KeysReply, KeysRequest, SetReply, SetRequest};
use secrecy::SecretString;
use tonic::Status;

use super::{Service, passphrase};

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
    passphrase::change(service, by.clone().into(), value).await?;
    Ok(SetReply::default())
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
