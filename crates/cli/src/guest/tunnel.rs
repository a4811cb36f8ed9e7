//! A tunnel: bytes to and from an instance's SSH server, carried by a call of the service's.

use std::time::Duration;

use bytes::BytesMut;
use rpc::instances::tunnel_reply::Part as FromGuest;
use rpc::instances::tunnel_request::Part as ToGuest;
use rpc::instances::{Access, TunnelReply, TunnelRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;

use crate::connection::Service;
use crate::error::Error;

/// What is sent at once, in bytes. The service takes no more than four of these.
const CHUNK: usize = 16 * 1024;
/// What waits to be sent, in chunks, and to be read, in bytes. Then the other side has to wait.
const CHUNKS: usize = 4;
const UNREAD: usize = CHUNKS * CHUNK;
/// How long an end is waited for that should be there.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// An open tunnel. Dropping it ends the call.
pub(crate) struct Tunnel(AbortOnDropHandle<Result<(), Error>>);

impl Tunnel {
    /// Opens one. The stream leads to the guest, and whoever answers there has yet to prove to be it.
    ///
    /// # Errors
    /// The service refused, or the connection was lost.
    pub(crate) async fn open(
        service: &Service,
        instance: &str,
    ) -> Result<(Self, DuplexStream, Access), Error> {
        service.note_call("Tunnel");
        let (requests, sent) = mpsc::channel(CHUNKS);
        let first = TunnelRequest { part: Some(ToGuest::InstanceName(instance.to_owned())) };
        requests.try_send(first).map_err(|_| Error::InvalidReply("the call ended before it began"))?;
        let mut calls = service.instances.clone();
        let mut replies =
            calls.tunnel(ReceiverStream::new(sent)).await.map_err(Error::from_status)?.into_inner();
        let first = replies.message().await.map_err(Error::from_status)?.and_then(|reply| reply.part);
        let Some(FromGuest::Access(access)) = first else {
            return Err(Error::InvalidReply("the service did not report how to log in to the instance"));
        };
        let (near, far) = duplex(UNREAD);
        let carrying = tokio::spawn(async move {
            let (from_here, to_here) = split(near);
            let sending = async {
                send(from_here, requests).await;
                // The other direction ends the call.
                std::future::pending().await
            };
            tokio::select! {
                ended = receive(replies, to_here) => ended,
                never = sending => never,
            }
        });
        Ok((Self(AbortOnDropHandle::new(carrying)), far, access))
    }

    /// What has ended the tunnel, if it was neither the guest nor this side.
    pub(crate) async fn fault(self) -> Option<Error> {
        timeout(END_TIMEOUT, self.0).await.ok()?.ok()?.err()
    }
}

/// Sends what is written here, until it ends.
async fn send(mut from_here: ReadHalf<DuplexStream>, requests: mpsc::Sender<TunnelRequest>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match (&mut from_here).take(CHUNK as u64).read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let request = TunnelRequest { part: Some(ToGuest::Data(buffer.split().freeze())) };
        if requests.send(request).await.is_err() {
            return;
        }
    }
}

/// Takes in what the guest sends, until the call ends.
async fn receive(
    mut replies: Streaming<TunnelReply>,
    mut to_here: WriteHalf<DuplexStream>,
) -> Result<(), Error> {
    while let Some(reply) = replies.message().await.map_err(Error::from_status)? {
        let passed_on = match reply.part {
            Some(FromGuest::Data(data)) => to_here.write_all(&data).await,
            Some(FromGuest::End(_)) => to_here.shutdown().await,
            Some(FromGuest::Access(_)) | None => {
                return Err(Error::InvalidReply("the service sent an unexpected reply on a tunnel"));
            }
        };
        if passed_on.is_err() {
            // Nobody reads here any more.
            return Ok(());
        }
    }
    Ok(())
}
