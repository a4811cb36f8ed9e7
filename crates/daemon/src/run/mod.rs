//! From the command line to a daemon that serves, and to its end.

#[cfg(unix)]
#[cfg(test)]
mod launchd;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth_core::{Authority, FileStore, FirstClientRule, Notice, StoreError, TrustStore};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::Endpoint;
use transport::network::ListenScope;
use transport::tls::{ServerTls, TlsError};

use crate::audit::FileAudit;
use crate::config::Settings;
use crate::connections::transports::{self, BindError, Bound};
use crate::data_directory::{self, DataLockError};
use crate::limits::capacity::MIN_DESCRIPTORS;
use crate::machines::Machines;
use crate::platform::{self, Directories, NoDirectory, Stage};
use crate::server_identity::{self, ServerIdentityError};
use crate::trust::presence::{self, LastSeenFile, Presence};
use crate::trust::reload::follow;
use crate::trust::socket_gate::SocketGate;
use crate::trust::{store_log, token_expiry};
use crate::{Service, audit, connections, stock};

/// Threads that serve connections. The service waits for files and hashes elsewhere, and is idle
/// most of the time.
const MAX_WORKERS: usize = 4;
/// How often the server certificate is looked at. It is renewed months before it ends.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(60 * 60);
/// How long the last refusals may take to be told when the daemon stops.
pub(crate) const TELLING_DEADLINE: Duration = Duration::from_secs(2);

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
    #[error(transparent)]
    DataLock(#[from] DataLockError),
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
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
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
    // Before anything is there that a signal, unhandled, would leave behind.
    let mut stop_requests = platform::StopRequests::new().map_err(RunError::Runtime)?;
    let hangup = || platform::Hangups::new().map_err(RunError::Runtime);
    let (root_hangups, store_hangups) = (hangup()?, hangup()?);
    let (limit, needed) = (platform::raise_descriptor_limit(), MIN_DESCRIPTORS);
    if limit < needed {
        return Err(RunError::Descriptors { limit, needed });
    }
    let directories = Directories::find()?;
    let data = directories.data;
    let now = SystemTime::now();
    data_directory::create(&data).map_err(|source| RunError::Data { path: data.clone(), source })?;
    let _alone = data_directory::lock(&data)?;
    let machines = Machines::open(data.clone(), directories.cache);
    let records =
        audit::directory(&data).map_err(|source| RunError::Data { path: data.join("audit"), source })?;
    let (departed, departures) = watch::channel(());
    let store = Arc::new(FileStore::open(&data, now, move |notice| {
        store_log::log(notice);
        if matches!(notice, Notice::TrustChanged { .. }) {
            departed.send_replace(());
        }
    })?);
    let recorder = Arc::new(FileAudit::new(&records));
    // Before the certificates, which then are ours.
    stock::take_passphrase_over(&data, &store, &*recorder, now)?;
    let published = settings.root_cert.clone().unwrap_or(directories.root_certificate);
    let identity = server_identity::load_or_create(&data, &published, now)?;
    for directory in server_identity::open_to_groups(&published)? {
        tracing::warn!(
            "members of a group may write to {}, and could replace the root certificate {}, by which clients know \
             this service; 'chmod g-w' on that directory ends that",
            directory.display(),
            published.display()
        );
    }
    if let Some(fingerprint) = server_identity::root_fingerprint(&data)? {
        tracing::info!("clients on other machines know this daemon by the fingerprint {fingerprint}");
    }
    let tls = ServerTls::new(identity)?;

    let addresses = match settings.address.as_slice() {
        [] => vec![transports::default_endpoint().ok_or(RunError::NoRuntimeDirectory)?],
        given => given.to_owned(),
    };
    let scope = if settings.allow_remote { ListenScope::AnyAddress } else { ListenScope::Loopback };
    let admin_gid = platform::admin_group().map_err(RunError::Groups)?;
    let gate = SocketGate::new(admin_gid, Arc::clone(&store) as _);
    let Bound { listeners, gate } = transports::bind(&addresses, scope, &tls, gate).await?;
    let first_client = FirstClientRule { daemon_uid: platform::own_uid(), admin_gid };
    let authority = Authority::new(Arc::clone(&store) as _, Box::new(gate.clone()), first_client, recorder);
    let (refusals, teller) = audit::refusals(&records);
    let (last_seen, presence) = known_presence(&data);
    let endpoints: Vec<Endpoint> =
        listeners.iter().flat_map(|listener| listener.endpoints()).cloned().collect();
    let service = Service::new(authority, data.clone(), refusals, departures.clone(), machines.clone());
    let service = Arc::new(service.with_presence(presence.clone()).with_addresses(endpoints.clone()));
    let stop = CancellationToken::new();
    for endpoint in &endpoints {
        tracing::info!("listening on {endpoint}");
    }
    tokio::spawn(server_identity::keep_fresh(
        tls,
        data,
        published.clone(),
        CERTIFICATE_CHECK,
        SystemTime::now,
        root_hangups,
    ));
    let keeping = tokio::spawn(keep_presence(last_seen.clone(), presence.clone(), Arc::clone(&store)));
    tokio::spawn(follow(Arc::clone(&store), gate, departures, store_hangups));
    let tending = tokio::spawn(token_expiry::tend(Arc::clone(&store)));
    let told_enough = CancellationToken::new();
    let telling = tokio::spawn(teller.run(told_enough.clone()));
    let mut serving = tokio::spawn(connections::serve(listeners, service, stop.clone()));
    if !platform::is_system_service()
        && let Some(first) = endpoints.first()
    {
        tell_how_to_reach(first, &published);
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
    machines.settle().await;
    keeping.abort();
    write_presence(last_seen, presence, Arc::clone(&store)).await;
    tending.abort();
    token_expiry::write_down(store).await;
    // After the last refusal.
    told_enough.cancel();
    if tokio::time::timeout(TELLING_DEADLINE, telling).await.is_err() {
        tracing::warn!("timed out writing the last refusals");
    }
    Ok(())
}

/// Who was here before, and where that is kept. Nothing depends on it.
fn known_presence(data: &Path) -> (LastSeenFile, Presence) {
    // What a crash left; nobody else writes here as long as this daemon has the data.
    let _ = durable::clear_leftovers(data);
    let last_seen = LastSeenFile::within(data);
    let presence = last_seen.read().unwrap_or_else(|error| {
        tracing::warn!("cannot read from {last_seen} when clients were last seen: {error}");
        Presence::default()
    });
    (last_seen, presence)
}

/// Writes down from time to time who is here. Never completes.
async fn keep_presence(last_seen: LastSeenFile, presence: Presence, store: Arc<FileStore>) {
    loop {
        tokio::time::sleep(presence::INTERVAL).await;
        write_presence(last_seen.clone(), presence.clone(), Arc::clone(&store)).await;
    }
}

async fn write_presence(last_seen: LastSeenFile, presence: Presence, store: Arc<FileStore>) {
    let write = move || {
        if let Err(error) = last_seen.write(&presence, |client| store.contains(client)) {
            tracing::warn!("when clients were last seen cannot be written to {last_seen}: {error}");
        }
    };
    let _ = tokio::task::spawn_blocking(write).await;
}

/// Says, ready for a shell, how clients reach a daemon that is not the system's.
#[expect(clippy::print_stdout, reason = "this is the program's output; the log goes elsewhere")]
fn tell_how_to_reach(endpoint: &Endpoint, root_certificate: &Path) {
    println!("{}", platform::shell_setting("MULTIPASS_SERVER_ADDRESS", &endpoint.to_string()));
    println!("{}", platform::shell_setting("MULTIPASS_ROOT_CERT", &root_certificate.display().to_string()));
}
