//! `multipassd enroll-installer`: at installation, the client of the user who installs the service becomes its
//! first one, beside a running daemon or without one.
//!
//! The user's files are not touched here: the client `multipass`, with the user's rights, does that.

mod client_program;
mod user;

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use auth_core::{ClientCertificate, FileStore, Recovery, StoreError, TrustStore};
use thiserror::Error;

use self::client_program::{ClientProgramError, MissingCertificate};
use self::user::{InstallingUser, UserError};
use crate::audit::{self, FileAudit};
use crate::config::EnrollInstaller;
#[cfg(windows)]
use crate::config::Install;
use crate::data_directory;
#[cfg(windows)]
use crate::platform::windows_service::{self, ServiceError};
use crate::platform::{self, Directories, NoDirectory};
use crate::trust::store_log;

const AS_ADMINISTRATOR: &str = if cfg!(windows) { "as administrator" } else { "with sudo" };

/// Why nobody was enrolled who should have been.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnrollError {
    /// Only the machine's own service has a first client of an installer's choice.
    #[error("only an administrator may say whose client is the first; run this {AS_ADMINISTRATOR}")]
    NotAdministrator,
    /// No place for the daemon's files.
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
    /// It is not known who installs.
    #[error(transparent)]
    User(#[from] UserError),
    /// The user's certificate was not found or made.
    #[error("cannot get the client certificate of {user}")]
    Certificate {
        /// The user.
        user: String,
        /// Why.
        source: ClientProgramError,
    },
    /// The trust store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Enrols the installing user's client if nobody was ever enrolled, and says what is so now.
///
/// # Errors
/// Somebody was to be enrolled, and could not be.
pub fn enroll(whom: &EnrollInstaller) -> Result<String, EnrollError> {
    if !platform::is_system_service() {
        return Err(EnrollError::NotAdministrator);
    }
    let data = usable_data()?;
    let records =
        audit::directory(&data).map_err(|source| EnrollError::Data { path: data.join("audit"), source })?;
    let now = SystemTime::now();
    let store = FileStore::open(&data, now, store_log::log_notice)?;
    let user = InstallingUser::find(whom.user.as_deref());
    if !store.is_armed() {
        return already_enrolled(&store, user.ok().as_ref());
    }

    let user = user?;
    let certificate = user.certificate(MissingCertificate::Create)?.ok_or_else(|| {
        EnrollError::Certificate { user: user.name().to_owned(), source: ClientProgramError::NoCertificate }
    })?;
    let recovery = Recovery { store: &store, audit: &FileAudit::new(&records) };
    let name = user.name().parse().ok();
    if !recovery.enrol_installer(&certificate, name.as_ref(), now)? {
        // Somebody was first meanwhile.
        return already_enrolled(&store, Some(&user));
    }
    Ok(format!("The client of {} is the first one, and trusted: {}.", user.name(), certificate.fingerprint()))
}

/// The data directory. An installer may come before the daemon's first start: then this is where it begins.
fn usable_data() -> Result<PathBuf, EnrollError> {
    let data = Directories::find()?.data;
    data_directory::create(&data).map_err(|source| EnrollError::Data { path: data.clone(), source })?;
    Ok(data)
}

/// Checks the data directory as the service will, which runs as the system: what belongs to the administrator who
/// installs is refused as any user's.
#[cfg(windows)]
fn data_for_service() -> Result<(), EnrollError> {
    let data = usable_data()?;
    durable::private::directory_for_service(&data).map_err(|source| EnrollError::Data { path: data, source })
}

/// Why the service could not be installed as it should be.
#[cfg(windows)]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// It would have no place for its files.
    #[error("nothing was installed")]
    Data(#[source] EnrollError),
    /// It is no service, or does not run.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// It runs, and nobody can use it.
    #[error(
        "the service runs, and nobody was enrolled; run 'multipassd enroll-installer' once this is fixed"
    )]
    Enroll(#[source] EnrollError),
}

/// Installs the service, or this version of it, enrols the installing user's client if nobody was ever enrolled, and
/// starts it.
///
/// # Errors
/// One of these did not come about. What came before it did.
#[cfg(windows)]
pub fn install(how: &Install) -> Result<String, InstallError> {
    let program = windows_service::own_program()?;
    // Before anything is changed. The service could tell nobody: its log is in there.
    data_for_service().map_err(InstallError::Data)?;
    windows_service::install(program, how.config.as_deref())?;
    // Before it runs, so that it knows its first client from its first moment.
    let enrolled = enroll(&EnrollInstaller { user: None });
    windows_service::start()?;
    let enrolled = enrolled.map_err(InstallError::Enroll)?;
    Ok(format!("The service is installed and runs.\n{enrolled}"))
}

impl InstallingUser {
    fn certificate(&self, missing: MissingCertificate) -> Result<Option<ClientCertificate>, EnrollError> {
        client_program::certificate(self, missing)
            .map_err(|source| EnrollError::Certificate { user: self.name().to_owned(), source })
    }
}

/// What to say where somebody was enrolled before. That is as it should be: an installer runs on each upgrade,
/// also where no user can be told, or where the user's home is not at hand.
fn already_enrolled(store: &FileStore, user: Option<&InstallingUser>) -> Result<String, EnrollError> {
    if let Some(user) = user
        && let Ok(Some(certificate)) = user.certificate(MissingCertificate::Leave)
        && store.contains(&certificate.fingerprint())
    {
        return Ok(format!(
            "The client of {} is trusted already: {}.",
            user.name(),
            certificate.fingerprint()
        ));
    }
    let trusted = match store.clients()?.len() {
        0 => "No client is trusted now".to_owned(),
        1 => "One is trusted".to_owned(),
        count => format!("{count} are trusted"),
    };
    let name = user.map_or("NAME", InstallingUser::name);
    let adds = if cfg!(windows) {
        format!("multipassd recover --add-cert FILE' with the certificate of {name}")
    } else {
        format!("sudo multipass clients add --user {name}'")
    };
    Ok(format!(
        "Clients were enrolled before, so nobody was enrolled now. {trusted}; to add one, run '{adds}."
    ))
}
