//! A session with a guest: the host proves itself first, then we do, then commands are run.

use std::borrow::Cow;
use std::sync::Arc;

use russh::client::{self, ChannelOpenHandle, Handle, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Disconnect, Preferred};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::DropGuard;

use crate::keys::{ClientKey, HostKey, KeyError, KeyPair, Kind};
use crate::process::{Input, Output, Terminal};
use crate::rsa::RsaKey;
use crate::severable::SeverableStream;
use crate::sftp::{Sftp, SftpError};

/// Packets of output, each 32 KiB at most, that wait to be taken. A guest need not keep to SSH's window.
const WAITING: usize = 16;

/// A session with a guest. Dropping it ends the connection, whatever the guest does.
pub struct Session {
    handle: Handle<Verifier>,
    _connection: DropGuard,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedCommand {
    /// Its exit code; none if a signal ended it.
    pub code: Option<u32>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// Why there is no session, or a command was not run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Somebody else answered, or the guest has other keys than it was given.
    #[error(
        "the guest does not have the SSH host key that it was given: somebody else may be answering for it"
    )]
    WrongHost,
    /// The guest does not let us in.
    #[error("the guest does not let '{user}' in with the service's SSH key")]
    NotLetIn {
        /// As whom.
        user: String,
    },
    /// One of the keys is none that can be used.
    #[error("a key that belongs to the guest cannot be used")]
    Key(#[from] KeyError),
    /// The connection ended while a command was running.
    #[error("the guest has ended the SSH connection")]
    Lost,
    /// A command has written more than it may.
    #[error("the command has written more than {limit} bytes")]
    TooMuch {
        /// So much it may.
        limit: usize,
    },
    /// The guest cannot move files.
    #[error("the guest has no SFTP server, which moving files needs")]
    NoSftp,
    /// The guest's SFTP server does not begin as it should.
    #[error("the guest's SFTP server cannot be used")]
    Sftp(#[from] SftpError),
    /// The connection broke, or the guest does not speak SSH as it should.
    #[error("the SSH connection to the guest failed")]
    Failed(#[from] russh::Error),
}

impl From<russh::SendError> for SessionError {
    /// The session's own task has ended, as it does with the connection.
    fn from(_: russh::SendError) -> Self {
        Self::Lost
    }
}

impl Session {
    /// Opens a session over a stream that leads to a guest's SSH server.
    ///
    /// # Errors
    /// [`SessionError::WrongHost`] before anything of ours was sent, and the others.
    pub async fn open<S>(stream: S, host: &HostKey, user: &str, key: &KeyPair) -> Result<Self, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::open_with(stream, Some(host), user, &ClientKey::from(key.clone())).await
    }

    /// As [`open`](Self::open), whoever answers: for who knows it in another way, or cannot know it.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the first.
    pub async fn open_unverified<S>(stream: S, user: &str, key: &ClientKey) -> Result<Self, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::open_with(stream, None, user, key).await
    }

    async fn open_with<S>(
        stream: S,
        host: Option<&HostKey>,
        user: &str,
        key: &ClientKey,
    ) -> Result<Self, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let preferred = match host {
            // A guest has keys of other kinds too, which nobody has told us.
            Some(host) => Preferred { key: Cow::Owned(vec![host.algorithm()]), ..Preferred::default() },
            None => Preferred::default(),
        };
        let config = client::Config { preferred, channel_buffer_size: WAITING, ..client::Config::default() };
        // Also when this future is dropped.
        let (stream, connection) = SeverableStream::new(stream);
        let connected = client::connect_stream(Arc::new(config), stream, Verifier(host.cloned())).await;
        let mut handle = match connected {
            Err(russh::Error::UnknownKey) => return Err(SessionError::WrongHost),
            connected => connected?,
        };
        let answer = match &key.0 {
            Kind::Pair(pair) => {
                // The hash is chosen for RSA keys alone.
                let key = PrivateKeyWithHashAlg::new(pair.private(), None);
                handle.authenticate_publickey(user, key).await?
            }
            Kind::Rsa(key) => {
                let (public, mut signer) = (key.public.clone(), key.clone());
                handle.authenticate_publickey_with(user, public, Some(RsaKey::HASH), &mut signer).await?
            }
        };
        if answer.success() {
            return Ok(Self { handle, _connection: connection });
        }
        Err(SessionError::NotLetIn { user: user.to_owned() })
    }

    /// Starts a command, or the user's shell if it is none, with a terminal if it is to have one.
    ///
    /// # Errors
    /// The connection is gone. Whether the guest runs the command, its output tells.
    pub async fn start(
        &self,
        command: Option<&[u8]>,
        terminal: Option<&Terminal>,
    ) -> Result<(Input, Output), SessionError> {
        let (output, input) = self.handle.channel_open_session().await?.split();
        if let Some(Terminal { kind, size }) = terminal {
            input.request_pty(true, kind, size.columns.into(), size.rows.into(), 0, 0, &[]).await?;
        }
        match command {
            Some(command) => input.exec(true, command).await?,
            None => input.request_shell(true).await?,
        }
        Ok((Input::new(input), Output::new(output)))
    }

    /// Runs a command with nothing on its standard input, and takes in what it writes, `limit` bytes at most.
    ///
    /// # Errors
    /// It cannot be run, writes more, or the connection breaks.
    pub async fn run(&self, command: &str, limit: usize) -> Result<FinishedCommand, SessionError> {
        let mut channel = self.handle.channel_open_session().await?;
        channel.exec(true, command).await?;
        channel.eof().await?;
        let mut finished = FinishedCommand { code: None, stdout: Vec::new(), stderr: Vec::new() };
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => finished.stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, .. } => finished.stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => finished.code = Some(exit_status),
                ChannelMsg::Failure => return Err(russh::Error::RequestDenied.into()),
                _ => {}
            }
            if finished.stdout.len() + finished.stderr.len() > limit {
                return Err(SessionError::TooMuch { limit });
            }
        }
        Ok(finished)
    }

    /// Begins to move files.
    ///
    /// # Errors
    /// The guest has no SFTP server, or the connection breaks.
    pub async fn sftp(&self) -> Result<Sftp<impl AsyncRead + AsyncWrite + use<>>, SessionError> {
        let mut channel = self.handle.channel_open_session().await?;
        channel.request_subsystem(true, "sftp").await?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::WindowAdjusted { .. }) => {}
                _ => return Err(SessionError::NoSftp),
            }
        }
        // A server that says no more, because there is none to be run, has not understood what it agreed to.
        match Sftp::open(channel.into_stream()).await {
            Err(SftpError::Lost(_)) => Err(SessionError::NoSftp),
            opened => Ok(opened?),
        }
    }

    /// Says goodbye, and waits until that is on its way.
    ///
    /// # Errors
    /// The connection is gone already.
    pub async fn close(self) -> Result<(), SessionError> {
        self.handle.disconnect(Disconnect::ByApplication, "", "").await?;
        // That it is over is what is wanted.
        let _ = self.handle.await;
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// Knows the one key that the host may have, if there is such a one.
struct Verifier(Option<HostKey>);

impl client::Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let Some(host) = &self.0 else { return Ok(true) };
        Ok(match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => host.is(key),
            // Nobody has certified guests.
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }

    // A guest may do nothing through us; by default it could open channels. Refused is what is not accepted.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
