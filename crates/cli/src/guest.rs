//! SSH to an instance: through the service, which carries what is said without a part in it; or, with a stock
//! service, which cannot do that, to where it says that the instance answers.

use std::time::Duration;

use rpc::instances::Access;
use ssh::{HostKey, KeyPair, Session, SessionError};
use tokio::io::DuplexStream;
use tokio::time::timeout;

use crate::error::Error;
use crate::service::Service;
use crate::tunnel::Tunnel;

/// How long a guest may take until it has let us in. Under emulation it is slow.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// A guest that has proven itself and has let us in.
pub(crate) struct Guest {
    /// What is done in it.
    pub(crate) session: Session,
    tunnel: Tunnel,
    instance: String,
}

impl Guest {
    /// Connects to an instance's guest.
    ///
    /// # Errors
    /// The service refused, or there is no session with the guest.
    pub(crate) async fn connect(service: &Service, instance: &str) -> Result<Self, Error> {
        let (tunnel, stream, access) = Tunnel::open(service, instance).await?;
        match timeout(LOGIN_LIMIT, log_in(stream, access)).await {
            Ok(Ok(session)) => Ok(Self { session, tunnel, instance: instance.to_owned() }),
            Ok(Err(error)) => Err(explained(tunnel, instance, error).await),
            Err(_) => Err(Error::failed(
                format!("instance \"{instance}\" did not answer within {} s", LOGIN_LIMIT.as_secs()),
                format!("`multipass restart {instance}` may help."),
            )),
        }
    }

    /// Why the session has failed: what the service says of it, else what the session says.
    pub(crate) async fn explain(self, error: SessionError) -> Error {
        let Self { session, tunnel, instance } = self;
        drop(session);
        explained(tunnel, &instance, error).await
    }
}

async fn explained(tunnel: Tunnel, instance: &str, source: SessionError) -> Error {
    match tunnel.fault().await {
        Some(fault) => fault,
        None => Error::Guest { instance: instance.to_owned(), source },
    }
}

async fn log_in(stream: DuplexStream, mut access: Access) -> Result<Session, SessionError> {
    let host: HostKey = access.host_key.parse()?;
    let key = KeyPair::from_openssh(&access.take_private_key())?;
    Session::open(stream, &host, &access.user_name, &key).await
}
