//! From the command line to a daemon that serves, and to its end.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth_core::{
    Authority, Damage, Enrolled, FileStore, FirstClientRule, Gate, NoGate, StoreError, TrustStore, private,
};
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
/// How often the server certificate is looked at. It is renewed months before it ends.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(60 * 60);

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
    /// Another daemon uses the same data.
    #[error(
        "another multipassd uses {0}; stop it first, or set MULTIPASS_STORAGE to a directory for this one"
    )]
    DataInUse(PathBuf),
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
    /// No more connections are accepted.
    #[error("the service ended unexpectedly")]
    Ended,
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
    let parent = data.parent().unwrap_or(Path::new("/"));
    private::create_all(parent)
        .and_then(|()| private::directory(&data))
        .map_err(|source| RunError::Data { path: data.clone(), source })?;
    let _alone = lock_data(&data)?;
    let store = FileStore::open(&data, now, report_damage)?;
    let published = arguments.root_cert.clone().unwrap_or(directories.root_certificate);
    let identity = server_identity::load_or_create(&data, &published, now)?;
    let tls = ServerTls::new(identity)?;

    let endpoint = arguments.address.clone().unwrap_or_else(transport::default_endpoint);
    let (listener, authority) = listen(&endpoint, tls.clone(), store).await?;
    let service = Arc::new(Service::new(authority, data.clone()));
    let stop = CancellationToken::new();
    for endpoint in listener.endpoints() {
        tracing::info!("listening on {endpoint}");
    }
    tokio::spawn(server_identity::keep_fresh(tls, data, published, CERTIFICATE_CHECK, SystemTime::now));
    let mut serving = tokio::spawn(serve(listener, service, stop.clone()));
    tokio::select! {
        asked = platform::asked_to_stop() => asked.map_err(RunError::Runtime)?,
        _ = &mut serving => return Err(RunError::Ended),
    }
    tracing::info!("stopping");
    stop.cancel();
    serving.await.map_err(|error| RunError::Runtime(error.into()))
}

/// Keeps other daemons away from the data for as long as the returned file is open.
fn lock_data(data: &Path) -> Result<File, RunError> {
    let path = data.join("daemon.lock");
    let fails = |source| RunError::Data { path: path.clone(), source };
    let file = private::lock_file(&path).map_err(fails)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::DataInUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(fails(source)),
    }
}

fn report_damage(part: &Damage) {
    tracing::error!(
        "bytes {} to {} of the trusted clients were damaged ({}); they were moved to {}",
        part.bytes.start,
        part.bytes.end,
        part.reason,
        part.kept_in.display()
    );
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
    let (admin_gid, access) = match platform::is_system_service() {
        true => {
            let group = platform::admin_group().map_err(RunError::Groups)?;
            let access = match store.is_empty() {
                true => SocketAccess::Group(group),
                false => SocketAccess::Everyone,
            };
            (Some(group), access)
        }
        false => (None, SocketAccess::Private),
    };
    let first_client = FirstClientRule { daemon_uid: platform::own_uid(), admin_gid };
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
