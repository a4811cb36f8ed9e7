//! The daemon's settings: `get`, `set` and `keys`.

use auth_core::Authenticated;
use rpc::{GetReply, GetRequest, KeysReply, KeysRequest, SetReply, SetRequest};
use secrecy::SecretString;
use tonic::Status;

use super::instances::InstanceSetting;
use super::{Service, passphrase, status};

/// The setting whose value is never told.
const PASSPHRASE: &str = "local.passphrase";

/// Which driver runs instances.
const DRIVER: &str = "local.driver";

/// Settings of what this daemon cannot do: they have no value.
const WITHOUT_VALUE: &[&str] = &["local.bridged-network", "local.image.mirror", "local.privileged-mounts"];

/// Tells a setting; of the passphrase, only whether one is set: `true` or nothing.
pub(super) async fn get(
    service: &Service,
    _by: &Authenticated,
    request: GetRequest,
) -> Result<GetReply, Status> {
    let value = match request.key.as_str() {
        PASSPHRASE if service.authority.passphrase_is_set() => "true".to_owned(),
        PASSPHRASE => String::new(),
        DRIVER => service.machines.get().await.map_or("", |instances| instances.driver()).to_owned(),
        key if WITHOUT_VALUE.contains(&key) => String::new(),
        key => InstanceSetting::of(key).ok_or_else(|| unknown(key))?.get(service).await?,
    };
    Ok(GetReply { value, ..Default::default() })
}

/// Changes a setting. The empty passphrase unsets it.
pub(super) async fn set(
    service: &Service,
    by: &Authenticated,
    mut request: SetRequest,
) -> Result<SetReply, Status> {
    let mut value = request.take_val();
    match request.key.as_str() {
        PASSPHRASE => {}
        DRIVER => {
            return Err(Status::failed_precondition(
                "'local.driver' cannot be set: instances are run by the driver that this daemon was built with.",
            ));
        }
        key if WITHOUT_VALUE.contains(&key) => {
            return Err(Status::failed_precondition(format!(
                "'{key}' cannot be set: this daemon has no use for it."
            )));
        }
        key => {
            let setting = InstanceSetting::of(key).ok_or_else(|| unknown(key))?;
            setting.set(service, &value).await?;
            return Ok(SetReply::default());
        }
    }
    let value = SecretString::from(std::mem::take(&mut *value));
    let by = by.administrator().map_err(|denied| status::not_admitted(&denied))?;
    passphrase::change(service, by, value).await?;
    Ok(SetReply::default())
}

/// All keys, in order.
pub(super) async fn keys(
    service: &Service,
    _by: &Authenticated,
    _: KeysRequest,
) -> Result<KeysReply, Status> {
    let mut settings_keys: Vec<String> =
        WITHOUT_VALUE.iter().chain(&[DRIVER, PASSPHRASE]).map(|key| (*key).to_owned()).collect();
    if let Ok(instances) = service.machines.get().await {
        settings_keys.extend(InstanceSetting::keys(&instances).await);
    }
    settings_keys.sort();
    Ok(KeysReply { settings_keys, ..Default::default() })
}

fn unknown(key: &str) -> Status {
    // What follows a '=' was meant as a value, and may be a passphrase.
    let shown = key.split_once('=').map(|(key, _)| format!("{key}=…"));
    let key = shown.as_deref().unwrap_or(key);
    Status::invalid_argument(format!("Unrecognized settings key: '{}'", status::excerpt(key)))
}
