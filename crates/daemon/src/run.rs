//! From the command line to a daemon that serves, and to its end.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth_core::{Authority, FileStore, FirstClientRule, Notice, StoreError, TrustStore};
use durable::private;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::tls::{ServerTls, TlsError};
use transport::{Endpoint, ListenError, Listener};
use transport_unix::UnixTransport;

use crate::audit::FileAudit;
use crate::config::Settings;
use crate::gate::{SocketGate, access};
use crate::platform::{self, Directories, NoDirectory, Stage};
use crate::reload::follow;
use crate::server_identity::{self, ServerIdentityError};
use crate::{Service, audit, notices, serve};

/// Threads that serve connections. The service waits for files and hashes elsewhere, and is idle
/// most of the time.
const MAX_WORKERS: usize = 4;
/// How often the server certificate is looked at. It is renewed months before it ends.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(60 * 60);
/// How long the last refusals may take to be told when the daemon stops.
const TELLING_DEADLINE: Duration = Duration::from_secs(2);

/// Why the daemon could not start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// No place for its files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The limit of open files leaves no room for clients.
    #[error(
        "only {limit} files may be open at once, and this daemon needs {needed}; raise the limit, with LimitNOFILE= \
         in the systemd unit or 'ulimit -n' in the shell that starts it"
    )]
    Descriptors {
        /// How many there may be.
        limit: u64,
        /// How many there have to be.
        needed: u64,
    },
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
    /// An ordinary user's daemon has no place for its socket.
    #[error("XDG_RUNTIME_DIR is not set; name a socket of your own with --address unix:/path")]
    NoRuntimeDirectory,
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
pub fn run(settings: &Settings) -> Result<(), RunError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let result = runtime.block_on(start(settings));
    // A call that hashes or writes when the time is up does not hold the daemon back: what it has not
    // yet stored it has not yet confirmed.
    runtime.shutdown_background();
    result
}

async fn start(settings: &Settings) -> Result<(), RunError> {
    let mut stop_requests = platform::StopRequests::new().map_err(RunError::Runtime)?;
    let (limit, needed) = (platform::raise_descriptor_limit(), serve::FEWEST_DESCRIPTORS);
    if limit < needed {
        return Err(RunError::Descriptors { limit, needed });
    }
    let directories = Directories::find()?;
    let data = directories.data;
    let now = SystemTime::now();
    let parent = data.parent().unwrap_or(Path::new("/"));
    private::create_all(parent)
        .and_then(|()| private::directory(&data))
        .map_err(|source| RunError::Data { path: data.clone(), source })?;
    let _alone = lock_data(&data)?;
    let records =
        audit::directory(&data).map_err(|source| RunError::Data { path: data.join("audit"), source })?;
    let (departed, departures) = watch::channel(());
    let store = Arc::new(FileStore::open(&data, now, move |notice| {
        notices::log(notice);
        if matches!(notice, Notice::TrustChanged { .. }) {
            departed.send_replace(());
        }
    })?);
    let published = settings.root_cert.clone().unwrap_or(directories.root_certificate);
    let identity = server_identity::load_or_create(&data, &published, now)?;
    let tls = ServerTls::new(identity)?;

    let endpoint = match &settings.address {
        Some(endpoint) => endpoint.clone(),
        None => platform::default_endpoint().ok_or(RunError::NoRuntimeDirectory)?,
    };
    let (listener, authority, gate) = listen(&endpoint, tls.clone(), Arc::clone(&store), &records).await?;
    let (refusals, teller) = audit::refusals(&records);
    let service = Arc::new(Service::new(authority, data.clone(), refusals, departures.clone()));
    let stop = CancellationToken::new();
    for endpoint in listener.endpoints() {
        tracing::info!("listening on {endpoint}");
    }
    tokio::spawn(server_identity::keep_fresh(
        tls,
        data,
        published.clone(),
        CERTIFICATE_CHECK,
        SystemTime::now,
        platform::Hangups::new().map_err(RunError::Runtime)?,
    ));
    let hangups = platform::Hangups::new().map_err(RunError::Runtime)?;
    tokio::spawn(follow(store, gate, departures, hangups));
    let told_enough = CancellationToken::new();
    let telling = tokio::spawn(teller.run(told_enough.clone()));
    let mut serving = tokio::spawn(serve(listener, service, stop.clone()));
    if !platform::is_system_service() {
        tell_how_to_reach(&endpoint, &published);
    }
    platform::tell_manager(Stage::Ready);
    tokio::select! {
        asked = stop_requests.next() => asked.map_err(RunError::Runtime)?,
        _ = &mut serving => return Err(RunError::Ended),
    }
    tracing::info!("stopping");
    platform::tell_manager(Stage::Stopping);
    stop.cancel();
    serving.await.map_err(|error| RunError::Runtime(error.into()))?;
    // After the last refusal.
    told_enough.cancel();
    if tokio::time::timeout(TELLING_DEADLINE, telling).await.is_err() {
        tracing::warn!("the last refusals could not be told in time");
    }
    Ok(())
}

/// Says, ready for a shell, how clients reach a daemon that is not the system's.
#[expect(clippy::print_stdout, reason = "this is the program's output; the log goes elsewhere")]
fn tell_how_to_reach(endpoint: &Endpoint, root_certificate: &Path) {
    println!("export MULTIPASS_SERVER_ADDRESS={}", quoted(&endpoint.to_string()));
    println!("export MULTIPASS_ROOT_CERT={}", quoted(&root_certificate.display().to_string()));
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
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

/// Listens, with a gate that fits: the machine's daemon keeps strangers away until its first client is
/// enrolled; a user's own daemon keeps others away always.
async fn listen(
    endpoint: &Endpoint,
    tls: ServerTls,
    store: Arc<FileStore>,
    records: &Path,
) -> Result<(Box<dyn Listener>, Authority, SocketGate), RunError> {
    if !matches!(endpoint, Endpoint::Unix(_)) {
        return Err(RunError::NoTransport(endpoint.clone()));
    }
    let admin_gid = match platform::is_system_service() {
        true => Some(platform::admin_group().map_err(RunError::Groups)?),
        false => None,
    };
    let first_client = FirstClientRule { daemon_uid: platform::own_uid(), admin_gid };
    let listener = UnixTransport::new(access(admin_gid, store.is_empty()))
        .bind(endpoint, tls)
        .await
        .map_err(|source| RunError::Listen { endpoint: endpoint.clone(), source })?;
    let gate = SocketGate { socket: listener.gate(), admin_gid };
    let audit = Arc::new(FileAudit::new(records));
    let authority = Authority::new(store, Box::new(gate.clone()), first_client, audit);
    Ok((Box::new(listener), authority, gate))
}
