//! `Tunnel`: carries bytes between a client and a guest's SSH server. It looks at none of them: the client knows
//! the guest by its key, and the guest the client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use auth_core::Authenticated;
use bytes::BytesMut;
use instances::SshAccess;
use rpc::instances::tunnel_reply::Part as FromGuest;
use rpc::instances::tunnel_request::Part as ToGuest;
use rpc::instances::{Access, End, TunnelReply, TunnelRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use super::{Service, failure, key_text, no_such_instance, status};
use crate::limits::tunnels::TunnelPermit;
use crate::service::grpc::ReplySender;

/// What is read from a guest at once, in bytes. A few of these wait for the client to read.
const CHUNK: usize = 16 * 1024;
/// How long a guest's port may take to answer. It is on this machine.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Carries bytes until both sides have ended, the client is no longer trusted, or the daemon stops.
pub(in crate::service) async fn tunnel(
    service: Arc<Service>,
    by: Authenticated,
    first: TunnelRequest,
    requests: Streaming<TunnelRequest>,
    replies: ReplySender<TunnelReply>,
) -> Result<(), Status> {
    // A handler is not polled while its client does not read. What the client sends is to go on.
    let carrying = AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::select! {
            biased;
            denied = service.authorization_lost(&by) => Err(status::not_admitted(&denied)),
            () = service.tunnels.closed() => Err(Status::unavailable("The service is stopping.")),
            carried = carry(&service, &by, first, requests, &replies) => carried,
        }
    }));
    carrying.await.unwrap_or_else(|_| Err(status::internal()))
}

async fn carry(
    service: &Service,
    by: &Authenticated,
    first: TunnelRequest,
    requests: Streaming<TunnelRequest>,
    replies: &ReplySender<TunnelReply>,
) -> Result<(), Status> {
    let Some(ToGuest::InstanceName(name)) = first.part else {
        return Err(Status::invalid_argument("A tunnel begins with the name of an instance."));
    };
    let (_permit, guest, access) = connect(service, by, &name).await?;
    replies.send(TunnelReply { part: Some(FromGuest::Access(access)) }).await;
    let (from_guest, to_guest) = guest.into_split();
    let lost = |error: io::Error| {
        Status::aborted(format!("the connection to instance \"{name}\" was lost: {error}; try again"))
    };
    let received = async { receive(from_guest, replies).await.map_err(lost) };
    tokio::try_join!(send(requests, to_guest), received).map(drop)
}

async fn connect(
    service: &Service,
    by: &Authenticated,
    name: &str,
) -> Result<(TunnelPermit, TcpStream, Access), Status> {
    let instances = service.instances().await?;
    let name = name.parse().map_err(|_| no_such_instance(name))?;
    let permit = service
        .tunnels
        .permit(by.client(), &name)
        .map_err(|full| Status::resource_exhausted(format!("{full}; try again when others have ended")))?;
    let access = instances.connect(&name).await.map_err(|error| failure::status(&error))?;
    let private_key = key_text(&name, &access)?;
    let SshAccess { address, user, host_key, .. } = access;
    let access = Access { user_name: user.to_owned(), host_key, private_key };
    let connecting = timeout(CONNECT_DEADLINE, TcpStream::connect(address)).await;
    let guest = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
        Status::aborted(format!(
            "instance \"{name}\" cannot be reached: {error}; 'multipass restart {name}' may help, and its console's \
             log may say more"
        ))
    })?;
    // What is typed is not to wait for more.
    let _ = guest.set_nodelay(true);
    Ok((permit, guest, access))
}

/// Passes on what the client sends, until it ends.
async fn send(mut requests: Streaming<TunnelRequest>, mut guest: OwnedWriteHalf) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        let Some(ToGuest::Data(data)) = request.part else {
            return Err(Status::invalid_argument("After its first message a tunnel carries bytes alone."));
        };
        if guest.write_all(&data).await.is_err() {
            // Who no longer listens may still have said why.
            return Ok(());
        }
    }
    let _ = guest.shutdown().await;
    Ok(())
}

/// Passes on what the guest sends, until it ends. The client is waited for.
async fn receive(mut guest: OwnedReadHalf, replies: &ReplySender<TunnelReply>) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        if guest.read_buf(&mut buffer).await? == 0 {
            break;
        }
        replies.send(TunnelReply { part: Some(FromGuest::Data(buffer.split().freeze())) }).await;
    }
    replies.send(TunnelReply { part: Some(FromGuest::End(End {})) }).await;
    Ok(())
}
