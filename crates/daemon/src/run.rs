//! From the command line to a daemon that serves, and to its end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use auth_core::{Authority, Enrolled, FileStore, FirstClientRule, Gate, NoGate, StoreError, TrustStore};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use transport::tls::{ServerTls, TlsError};
use transport::{Endpoint, ListenError, Listener};
use transport_unix::{SocketAccess, UnixGate, UnixTransport};

use crate::config::Arguments;
use crate::platform::{self, Directories, NoDirectory};
use crate::server_identity::{self, ServerIdentityError};
use crate::{Service, serve};

/// Threads that serve connections. The service waits for files and hashes elsewhere, and is idle
/// most of the time.
const MAX_WORKERS: usize = 4;

/// Why the daemon could not start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// No place for its files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No identity to present to clients.
    #[error(transparent)]
    Identity(#[from] ServerIdentityError),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// The trust store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The administrators' group cannot be looked up.
    #[error("cannot look up the administrators' group")]
    Groups(#[source] io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {endpoint}; give another with --address")]
    Listen {
        /// The address.
        endpoint: Endpoint,
        /// Why not.
        source: ListenError,
    },
    /// The address is of a transport that this daemon does not have.
    #[error("cannot listen on {0}: this daemon listens on Unix sockets; write unix:/path")]
    NoTransport(Endpoint),
    /// The runtime or its signals failed.
    #[error("cannot run")]
    Runtime(#[source] io::Error),
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// It could not start.
pub fn run(arguments: &Arguments) -> Result<(), RunError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let result = runtime.block_on(start(arguments));
    // A call that hashes or writes when the time is up does not hold the daemon back: what it has not
    // yet stored it has not yet confirmed.
    runtime.shutdown_background();
    result
}

async fn start(arguments: &Arguments) -> Result<(), RunError> {
    let directories = Directories::find()?;
    let data = directories.data;
    let now = SystemTime::now();
    platform::make_private_directory(&data)
        .map_err(|source| RunError::Data { path: data.clone(), source })?;

    let (store, damage) = FileStore::open(&data, now)?;
    for part in damage {
        tracing::error!(
            "bytes {} to {} of the trusted clients were damaged ({}); they were moved to {}",
            part.bytes.start,
            part.bytes.end,
            part.reason,
            part.kept_in.display()
        );
    }
    let published = arguments.root_cert.clone().unwrap_or(directories.root_certificate);
    let identity = server_identity::load_or_create(&data, &published, now)?;
    let tls = ServerTls::new(identity.resolver())?;

    let endpoint = arguments.address.clone().unwrap_or_else(transport::default_endpoint);
    let (listener, authority) = listen(&endpoint, tls, store).await?;
    let service = Arc::new(Service::new(authority, data));
    let stop = CancellationToken::new();
    for endpoint in listener.endpoints() {
        tracing::info!("listening on {endpoint}");
    }
    let serving = tokio::spawn(serve(listener, service, stop.clone()));
    platform::asked_to_stop().await.map_err(RunError::Runtime)?;
    tracing::info!("stopping");
    stop.cancel();
    serving.await.map_err(|error| RunError::Runtime(error.into()))?;
    Ok(())
}

/// Listens, with a gate that fits: the machine's daemon keeps strangers away until its first client is
/// enrolled; a user's own daemon keeps others away always.
async fn listen(
    endpoint: &Endpoint,
    tls: ServerTls,
    store: FileStore,
) -> Result<(Box<dyn Listener>, Authority), RunError> {
    if !matches!(endpoint, Endpoint::Unix(_)) {
        return Err(RunError::NoTransport(endpoint.clone()));
    }
    let admin_gid = platform::admin_group().map_err(RunError::Groups)?;
    let first_client = FirstClientRule { daemon_uid: platform::own_uid(), admin_gid };
    let access = match platform::is_system_service() {
        true if store.is_empty() => SocketAccess::Group(admin_gid.unwrap_or(0)),
        true => SocketAccess::Everyone,
        false => SocketAccess::Private,
    };
    let listener = UnixTransport::new(access)
        .bind(endpoint, tls)
        .await
        .map_err(|source| RunError::Listen { endpoint: endpoint.clone(), source })?;
    let gate: Box<dyn Gate> = match access {
        SocketAccess::Private => Box::new(NoGate),
        SocketAccess::Group(_) | SocketAccess::Everyone => Box::new(SocketGate(listener.gate())),
    };
    Ok((Box::new(listener), Authority::new(Box::new(store), gate, first_client)))
}

/// Opens the socket to everyone once a client is enrolled.
#[derive(Debug)]
struct SocketGate(UnixGate);

impl Gate for SocketGate {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        self.0.set(SocketAccess::Everyone)
    }
}
