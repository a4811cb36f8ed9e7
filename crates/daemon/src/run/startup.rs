//! The steps of the daemon's start, one a function. In which order they are taken is in `run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use auth_core::{Authority, FileStore, FirstClientRule, Notice};
use tokio::sync::watch;
use transport::network::ListenScope;
use transport::tls::ServerTls;
use transport::{Endpoint, Listener};

use super::RunError;
use crate::audit::{self, FileAudit};
use crate::config::Settings;
use crate::connections::transports::{self, BoundListeners};
use crate::data_directory::{self, DataLock};
use crate::limits::capacity::MIN_DESCRIPTORS;
use crate::trust::socket_gate::SocketGate;
use crate::trust::store_log;
use crate::{platform, server_identity, stock};

/// Makes sure that there are descriptors for clients, too.
pub(super) fn require_descriptors() -> Result<(), RunError> {
    let (limit, needed) = (platform::raise_descriptor_limit(), MIN_DESCRIPTORS);
    if limit < needed {
        return Err(RunError::Descriptors { limit, needed });
    }
    Ok(())
}

/// Makes the data directory if it is missing, and this daemon the only one that uses it.
pub(super) fn claim(data: &Path) -> Result<DataLock, RunError> {
    data_directory::create(data).map_err(|source| RunError::Data { path: data.to_owned(), source })?;
    Ok(data_directory::lock(data)?)
}

/// Who is trusted, and where changes to that are recorded.
pub(super) struct Trust {
    pub(super) store: Arc<FileStore>,
    /// Changes when others are trusted than before.
    pub(super) changes: watch::Receiver<()>,
    /// The audit log's grants.
    pub(super) grants: Arc<FileAudit>,
    /// The audit log's directory.
    pub(super) records: PathBuf,
}

impl Trust {
    /// Opens the store, and takes over what a stock service has left there.
    pub(super) fn open(data: &Path, now: SystemTime) -> Result<Self, RunError> {
        let records =
            audit::directory(data).map_err(|source| RunError::Data { path: data.join("audit"), source })?;
        let (changed, changes) = watch::channel(());
        let store = Arc::new(FileStore::open(data, now, move |notice| {
            store_log::log_notice(notice);
            if matches!(notice, Notice::TrustChanged { .. }) {
                changed.send_replace(());
            }
        })?);
        let grants = Arc::new(FileAudit::new(&records));
        // Before the certificates, which then are ours.
        stock::take_passphrase_over(data, &store, &*grants, now)?;
        Ok(Self { store, changes, grants, records })
    }
}

/// The certificates that the daemon presents. Its root certificate is published, and how clients know it is logged.
pub(super) fn server_tls(data: &Path, published: &Path, now: SystemTime) -> Result<ServerTls, RunError> {
    let identity = server_identity::load_or_create(data, published, now)?;
    for directory in server_identity::open_to_groups(published)? {
        tracing::warn!(
            "members of a group may write to {}, and could replace the root certificate {}, by which clients know \
             this service; 'chmod g-w' on that directory ends that",
            directory.display(),
            published.display()
        );
    }
    if let Some(fingerprint) = server_identity::root_fingerprint(data)? {
        tracing::info!("clients on other machines know this daemon by the fingerprint {fingerprint}");
    }
    Ok(ServerTls::new(identity)?)
}

/// Where the daemon listens, and who may reach it there.
pub(super) struct ListenerSetup {
    pub(super) listeners: Vec<Box<dyn Listener>>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) gate: SocketGate,
    /// The administrators' group, if this is the machine's daemon.
    pub(super) admin_gid: Option<u32>,
}

/// Listens where the settings say, or at the usual place.
pub(super) async fn listen(
    settings: &Settings,
    tls: &ServerTls,
    store: &Arc<FileStore>,
) -> Result<ListenerSetup, RunError> {
    let addresses = match settings.address.as_slice() {
        [] => vec![transports::default_endpoint().ok_or(RunError::NoRuntimeDirectory)?],
        given => given.to_owned(),
    };
    let scope = if settings.allow_remote { ListenScope::AnyAddress } else { ListenScope::Loopback };
    let admin_gid = platform::admin_group().map_err(RunError::Groups)?;
    let gate = SocketGate::new(admin_gid, Arc::clone(store) as _);
    let BoundListeners { listeners, gate } = transports::bind(&addresses, scope, tls, gate).await?;
    let endpoints = listeners.iter().flat_map(|listener| listener.endpoints()).cloned().collect();
    Ok(ListenerSetup { listeners, endpoints, gate, admin_gid })
}

/// Who decides about each call.
pub(super) fn authority(trust: &Trust, gate: SocketGate, admin_gid: Option<u32>) -> Authority {
    let first_client = FirstClientRule { daemon_uid: platform::own_uid(), admin_gid };
    let (store, grants) = (Arc::clone(&trust.store), Arc::clone(&trust.grants));
    Authority::new(store as _, Box::new(gate), first_client, grants)
}
