//! SSH to an instance: through the service, which carries what is said without a part in it; or, with a stock
//! service, which cannot do that, to where it says that the instance answers.

use std::future::Future;
use std::time::Duration;

use rpc::instances::Access;
use rpc::{SshInfo, SshInfoRequest};
use ssh::{ClientKey, HostKey, KeyPair, Session, SessionError};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::service::{Service, once};
use crate::tunnel::Tunnel;

/// How long a guest may take until it has let us in. Under emulation it is slow.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// A guest that has proven itself and has let us in.
pub(crate) struct Guest {
    /// What is done in it.
    pub(crate) session: Session,
    /// None where a stock service told the way.
    tunnel: Option<Tunnel>,
    instance: String,
}

impl Guest {
    /// Connects to an instance's guest.
    ///
    /// # Errors
    /// The service refused, or there is no session with the guest.
    pub(crate) async fn connect(service: &Service, instance: &str) -> Result<Self, Error> {
        let (tunnel, stream, access) = match Tunnel::open(service, instance).await {
            Err(Error::Refused(status)) if status.code() == Code::Unimplemented => {
                return Self::connect_without_tunnel(service, instance).await;
            }
            opened => opened?,
        };
        match in_time(instance, log_in(stream, access)).await? {
            Ok(session) => Ok(Self { session, tunnel: Some(tunnel), instance: instance.to_owned() }),
            Err(error) => Err(explained(Some(tunnel), instance, error).await),
        }
    }

    /// As a stock client: to the address that the service tells. Such services tell no host key.
    async fn connect_without_tunnel(service: &Service, instance: &str) -> Result<Self, Error> {
        if !service.endpoint.is_on_this_machine() {
            return Err(Error::Unsupported {
                message: "the service at this address cannot carry what is said with an instance".to_owned(),
                next: Some("Run the command on the service's own machine.".to_owned()),
            });
        }
        let request = SshInfoRequest {
            instance_name: vec![instance.to_owned()],
            verbosity_level: service.verbosity_level(),
        };
        let mut found = None;
        let answer = service.calls("ssh_info").ssh_info(once(request)).await;
        service
            .answer(answer, |reply: rpc::SshInfoReply| {
                found = reply.ssh_info.into_iter().find(|(name, _)| name == instance).or(found.take());
            })
            .await?;
        let (_, info) = found.ok_or(Error::Answer("the service did not tell where the instance answers"))?;
        let session = in_time(instance, log_in_at(instance, info)).await??;
        Ok(Self { session, tunnel: None, instance: instance.to_owned() })
    }

    /// Why the session has failed: what the service says of it, else what the session says.
    pub(crate) async fn explain(self, error: SessionError) -> Error {
        let Self { session, tunnel, instance } = self;
        drop(session);
        explained(tunnel, &instance, error).await
    }
}

async fn explained(tunnel: Option<Tunnel>, instance: &str, source: SessionError) -> Error {
    if let Some(tunnel) = tunnel
        && let Some(fault) = tunnel.fault().await
    {
        return fault;
    }
    Error::Guest { instance: instance.to_owned(), source }
}

async fn in_time<T>(instance: &str, login: impl Future<Output = T>) -> Result<T, Error> {
    timeout(LOGIN_LIMIT, login).await.map_err(|_| {
        Error::failed(
            format!("instance \"{instance}\" did not answer within {} s", LOGIN_LIMIT.as_secs()),
            format!("`multipass restart {instance}` may help."),
        )
    })
}

async fn log_in(stream: DuplexStream, mut access: Access) -> Result<Session, SessionError> {
    let host: HostKey = access.host_key.parse()?;
    let key = KeyPair::from_openssh(&access.take_private_key())?;
    Session::open(stream, &host, &access.user_name, &key).await
}

/// As the service says that it is to be done; it tells no host key.
async fn log_in_at(instance: &str, info: SshInfo) -> Result<Session, Error> {
    let SshInfo { host, port, username, priv_key_base64 } = info;
    let key = Zeroizing::new(priv_key_base64);
    let fails = |source| Error::Guest { instance: instance.to_owned(), source };
    let key = ClientKey::from_text(&key).map_err(|error| fails(error.into()))?;
    let port = u16::try_from(port).map_err(|_| Error::Answer("the service told a port that is none"))?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| {
        Error::failed(
            format!("instance \"{instance}\" is not reached at {host}, port {port}: {error}"),
            format!("`multipass restart {instance}` may help."),
        )
    })?;
    // What is typed is not to wait for more.
    let _ = stream.set_nodelay(true);
    Session::open_unverified(stream, &username, &key).await.map_err(fails)
}
