//! `multipassd migrate`: what a stock service has in another directory is taken over, while both are stopped.
//!
//! All of it is read before anything is written; each step is whole or not done, and grants no more than the next:
//! first the root key, then the clients, at last the passphrase. The other directory is left as it is.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use auth_core::{ClientsTaken, FileStore, Fingerprint, Migration, PassphraseHash, StockClients, StoreError};
use durable::private;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::audit::{self, FileAudit};
use crate::config::Migrate;
use crate::data_directory::{self, DataLockError};
use crate::logging::with_causes;
use crate::platform::{Directories, NoDirectory};
use crate::server_identity::{self, RootTakeover, ServerIdentityError};
use crate::stock;
use crate::trust::store_log;

/// The most that is read of the other service's clients: 100,000 of them take about 100 MB.
const MAX_CLIENTS_FILE: u64 = 256 * 1024 * 1024;
/// Clients that are named in the answer.
const MAX_NAMED: usize = 16;

/// Why nothing was taken over, or not all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// No place for the daemon's files.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The other directory cannot be read, or others can change what is in it.
    #[error("cannot take over from {path}, so nothing was")]
    Source {
        /// What could not be used.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// There is nothing in it that could be taken over.
    #[error(
        "in {0} there is nothing of a stock service: neither authenticated-certs/multipass_client_certs.pem nor \
         certificates/localhost_root_key.pem"
    )]
    Nothing(PathBuf),
    /// It is this daemon's own.
    #[error("{0} is this daemon's own directory: whatever is there is taken over when it starts")]
    Same(PathBuf),
    /// This daemon has run there, and what it knows of clients is in more files than are taken over.
    #[error(
        "this daemon has used {0} itself, and knows there who may only read and who was revoked; start it on that \
         directory, with MULTIPASS_STORAGE"
    )]
    Used(PathBuf),
    /// Somebody works there.
    #[error("process {process} is a multipassd that uses {path}; stop it first")]
    Running {
        /// The directory.
        path: PathBuf,
        /// The process.
        process: u32,
    },
    /// The settings that were named tell no passphrase.
    #[error("the passphrase cannot be taken over, so nothing was")]
    Settings(#[from] stock::SettingsError),
    /// A file that was named is not there, or cannot be read.
    #[error("there is no file {0} that can be read, so nothing was taken over")]
    NoFile(PathBuf),
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}; run this as the user who runs multipassd")]
    Data {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// This daemon runs.
    #[error(transparent)]
    InUse(#[from] DataLockError),
    /// The root key could not be stored.
    #[error("nothing was taken over")]
    Identity(#[source] ServerIdentityError),
    /// The trust store cannot be used.
    #[error("what was taken over before this is in order; fix this and run the same again")]
    Store(#[from] StoreError),
}

/// Where the settings are, and what they tell of the passphrase.
type Passphrase = (PathBuf, Result<Option<PassphraseHash>, stock::SettingsError>);

/// What a stock service has, read and understood, and believed.
struct StockService {
    directory: PathBuf,
    clients: StockClients,
    root_key: Option<(PathBuf, Zeroizing<String>)>,
    /// Those that may be the root key's.
    roots: Vec<Zeroizing<String>>,
    passphrase: Option<Passphrase>,
}

/// Takes over, and says what was and what was not.
///
/// # Errors
/// It could not; what was taken over before that is whole.
pub fn migrate(what: &Migrate) -> Result<String, MigrateError> {
    let directories = Directories::find()?;
    let data = directories.data;
    let source = StockService::read(what, &data, &directories.root_certificate)?;

    let fails = |path: &Path| {
        let path = path.to_owned();
        move |source| MigrateError::Data { path, source }
    };
    // This may come before the daemon's first start: then this is where it begins.
    data_directory::create(&data).map_err(fails(&data))?;
    let _alone = data_directory::lock(&data)?;
    let records = audit::directory(&data).map_err(fails(&data.join("audit")))?;
    let now = SystemTime::now();
    let store = FileStore::open(&data, now, store_log::log_notice)?;
    let recorder = FileAudit::new(&records);
    let migration = Migration { store: &store, audit: &recorder };

    let mut report = format!("From {}:\n", source.directory.display());
    report_root(&mut report, source.take_root(&data, now)?);
    report_clients(&mut report, &migration.clients(&source.clients.certificates, now)?, &source);
    let passphrase = take_passphrase(source.passphrase, &migration, now)?;
    let _ = writeln!(report, "passphrase  {passphrase}");
    report.push_str("instances   not taken over, nor images: they stay with the stock service");
    Ok(report)
}

impl StockService {
    fn read(what: &Migrate, data: &Path, published: &Path) -> Result<Self, MigrateError> {
        let fails = |path: &Path| {
            let path = path.to_owned();
            move |source| MigrateError::Source { path, source }
        };
        let directory = what.from.canonicalize().map_err(fails(&what.from))?;
        if data.canonicalize().is_ok_and(|data| data == directory) {
            return Err(MigrateError::Same(directory));
        }
        // Also by which links it was named: who can change those decides who is trusted here.
        private::beyond_others(&what.from).map_err(fails(&what.from))?;
        let trusted = directory.join("authenticated-certs");
        let own_files =
            ["enrolled-once", "first-client-awaited", "passphrase.phc", "revoked", "read-only-clients.pem"];
        if own_files.iter().any(|name| trusted.join(name).symlink_metadata().is_ok()) {
            return Err(MigrateError::Used(directory));
        }
        if let Some(process) = stock::process_using(&directory) {
            return Err(MigrateError::Running { path: directory, process });
        }
        let clients_file = trusted.join("multipass_client_certs.pem");
        let clients = stock::read(&clients_file, MAX_CLIENTS_FILE).map_err(fails(&clients_file))?;
        let root_key_file = directory.join("certificates/localhost_root_key.pem");
        stock::is_beyond_others(&root_key_file).map_err(fails(&root_key_file))?;
        let root_key = server_identity::root_key_in(&directory).map_err(MigrateError::Identity)?;
        if clients.is_none() && root_key.is_none() {
            return Err(MigrateError::Nothing(directory));
        }
        if let Some(path) =
            what.root_cert.as_ref().filter(|path| server_identity::published_in(path).is_none())
        {
            return Err(MigrateError::NoFile(path.clone()));
        }
        // Of whatever is found there, the root key's own alone is taken.
        let usual = [
            directory.join("multipass_root_cert.pem"),
            published.to_owned(),
            transport::system_root_certificate(),
        ];
        let places = what.root_cert.iter().chain(&usual);
        let passphrase = match &what.settings {
            Some(path) if path.symlink_metadata().is_err() => {
                return Err(MigrateError::NoFile(path.clone()));
            }
            Some(path) => Some((path.clone(), Ok(stock::passphrase_in(path)?))),
            None => stock::settings_of(&directory).map(|path| {
                let found = stock::passphrase_in(&path);
                (path, found)
            }),
        };
        Ok(Self {
            clients: StockClients::read(&clients.unwrap_or_default()),
            root_key,
            roots: places.filter_map(|path| server_identity::published_in(path)).collect(),
            passphrase,
            directory,
        })
    }

    fn take_root(&self, data: &Path, now: SystemTime) -> Result<RootOutcome, MigrateError> {
        let Some((path, text)) = &self.root_key else { return Ok(RootOutcome::Missing) };
        match server_identity::take_root_over(data, (path, text), &self.roots, now) {
            Ok(taken) => Ok(RootOutcome::Found(taken)),
            Err(error @ ServerIdentityError::NotAKey { .. }) => Ok(RootOutcome::Unusable(error)),
            Err(error) => Err(MigrateError::Identity(error)),
        }
    }
}

/// Takes the passphrase over, and says what became of it.
fn take_passphrase(
    found: Option<Passphrase>,
    migration: &Migration<'_>,
    now: SystemTime,
) -> Result<String, MigrateError> {
    let Some((path, found)) = found else {
        let unknown = "not taken over: where the stock service has its settings is not known; name them with --settings";
        return Ok(unknown.to_owned());
    };
    Ok(match found {
        Ok(Some(hash)) => match migration.passphrase(hash, now)? {
            true => format!("taken over from {}", path.display()),
            false => "not taken over: the passphrase was already set or removed here".to_owned(),
        },
        Ok(None) => format!("none is set in {}", path.display()),
        Err(error) => format!("not taken over: {}", with_causes(&error)),
    })
}

/// What became of the root.
enum RootOutcome {
    Missing,
    Unusable(ServerIdentityError),
    Found(RootTakeover),
}

fn report_root(report: &mut String, root: RootOutcome) {
    let text = match root {
        RootOutcome::Missing => "not taken over: there is no root key. Clients will know this service by another root".to_owned(),
        RootOutcome::Unusable(error) => format!("not taken over: {}", with_causes(&error)),
        RootOutcome::Found(RootTakeover::Taken { certificate: true }) => {
            "the root key and its certificate are taken over: who has a copy knows this service by it".to_owned()
        }
        RootOutcome::Found(RootTakeover::Taken { certificate: false }) => {
            "the root key is taken over. Its certificate was not found and will be made again: whoever has a copy needs the \
             new one"
                .to_owned()
        }
        RootOutcome::Found(RootTakeover::Known) => "the root key is this service's already".to_owned(),
        RootOutcome::Found(RootTakeover::HasAnother) => {
            "not taken over: this service has a root key of its own, which clients may know it by".to_owned()
        }
    };
    let _ = writeln!(report, "root        {text}");
}

fn report_clients(report: &mut String, clients: &ClientsTaken, source: &StockService) {
    let ClientsTaken { taken, known, revoked } = clients;
    let _ = writeln!(
        report,
        "clients     {} taken over, {} trusted already, {} not taken over: revoked here",
        taken.len(),
        known.len(),
        revoked.len()
    );
    report_names(report, "taken over", taken);
    report_names(
        report,
        "revoked; 'multipassd recover --add-cert' or 'multipass clients add' lets it in again",
        revoked,
    );
    for (bytes, reason) in source.clients.damaged.iter().take(MAX_NAMED) {
        let _ = writeln!(
            report,
            "            bytes {} to {} of the trusted clients are damaged and left out: {reason}",
            bytes.start, bytes.end
        );
    }
    report_rest(report, source.clients.damaged.len());
}

fn report_names(report: &mut String, what: &str, clients: &[Fingerprint]) {
    for client in clients.iter().take(MAX_NAMED) {
        let _ = writeln!(report, "            {client} {what}");
    }
    report_rest(report, clients.len());
}

fn report_rest(report: &mut String, count: usize) {
    if count > MAX_NAMED {
        let _ = writeln!(report, "            and {} more", count - MAX_NAMED);
    }
}
