//! `get` and `set`. The service keeps all settings but one, which is the client's own.

mod get;
pub(super) mod primary_name;
mod set;

use tonic::{Code, Status};

use crate::connection::transports::has_peer_credentials;
use crate::connection::{Context, Service};
use crate::credentials::IdentityStoreError;
use crate::error::Error;
use crate::platform;
pub(super) use get::{get, get_primary_name};
pub(super) use set::{ask_for_new_passphrase, set};

/// The service answers whether it is set, never what it is.
const PASSPHRASE: &str = "local.passphrase";

/// Who may read or set a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AllowedCaller {
    /// A client that the service trusts.
    Client,
    /// Root on the service's machine, too: it may set the passphrase, and see whether there is one, without being a
    /// client.
    ClientOrRoot,
}

impl AllowedCaller {
    /// Of the setting `key`, where this is root on the service's machine or not.
    fn of(key: &str, context: &Context) -> Result<Self, Error> {
        let root_may = key == PASSPHRASE && platform::is_root() && has_peer_credentials(&context.endpoint()?);
        Ok(if root_may { Self::ClientOrRoot } else { Self::Client })
    }

    /// Connects as the current user; or as root without an identity, if that is enough and there is none of root's own.
    async fn connect(self, context: &Context) -> Result<Service, Error> {
        match Service::connect(context).await {
            Err(Error::Identity(IdentityStoreError::NotOwn(_))) if self == Self::ClientOrRoot => {
                Service::connect_as_administrator(context).await
            }
            connected => connected,
        }
    }

    /// Whether root may go on where its client was refused so: it is none, or one that may only read.
    fn may_go_on_as_root(self, refusal: &Status) -> bool {
        self == Self::ClientOrRoot && matches!(refusal.code(), Code::Unauthenticated | Code::PermissionDenied)
    }
}
