//! The daemon as a service of Windows: installed, removed, and run by the service manager.
//!
//! What it does when it runs is its caller's; here it is told to stop, and tells how far it is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, io, thread};

use durable::private;
use thiserror::Error;
use tokio::sync::Notify;
use windows_service::service::{
    Service, ServiceAccess, ServiceControl, ServiceControlAccept, ServiceErrorControl, ServiceExitCode,
    ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};

use super::{Directories, NoDirectory, Stage};

/// By which the manager knows it.
const NAME: &str = "multipassd";
const DISPLAY_NAME: &str = "Multipass service";
const DESCRIPTION: &str = "Lets the clients of Multipass in, and serves them.";
/// The hidden command of our own program.
const COMMAND: &str = "run-service";
/// How long it may take to start or to stop, as we tell the manager and wait for it.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Why the service is not as it was to be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Services are the administrators'.
    #[error(
        "only an administrator may do this; run it in a window that was opened with 'Run as administrator'"
    )]
    NotAdministrator,
    /// Whoever can change the program would be the system.
    #[error(
        "{path} cannot be run as a service, for the system would run whatever others put in its place or beside it; \
         copy it and multipass.exe to a directory below 'C:\\Program Files', and install it from there"
    )]
    NotOurs {
        /// The program.
        path: PathBuf,
        /// Who could change it.
        source: io::Error,
    },
    /// There is no such service.
    #[error("the service is not installed; 'multipassd install' does that")]
    NotInstalled,
    /// The manager does not do it.
    #[error("cannot {step} the service")]
    Manager {
        /// What was to be done, as a verb.
        step: &'static str,
        /// The manager's reason.
        source: windows_service::Error,
    },
    /// It does not come up or go down.
    #[error("the service did not {step} within {} seconds; its log is in {log}", PATIENCE.as_secs())]
    TimedOut {
        /// What it was to do, as a verb.
        step: &'static str,
        /// Where its log is.
        log: PathBuf,
    },
    /// It ends by itself.
    #[error("the service ended as soon as it was started; its log, in {0}, says why")]
    Ended(PathBuf),
    /// No place for its log.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
}

/// That the manager did not do a step.
fn fails(step: &'static str) -> impl Fn(windows_service::Error) -> ServiceError {
    move |source| ServiceError::Manager { step, source }
}

/// This program, if it can be a service. Nothing is changed.
///
/// # Errors
/// Only an administrator may, and only with a program that nobody but administrators can change or put libraries beside.
pub fn own_program() -> Result<PathBuf, ServiceError> {
    if !win32::is_elevated() {
        return Err(ServiceError::NotAdministrator);
    }
    let program = env::current_exe().unwrap_or_else(|_| "multipassd.exe".into());
    match private::program_for_service(&program) {
        Ok(()) => Ok(program),
        Err(source) => Err(ServiceError::NotOurs { path: program, source }),
    }
}

/// Makes a program the service of this machine, stopped; also where another version of it was that.
///
/// # Errors
/// The service manager does not do it.
pub fn install(program: PathBuf, config: Option<&Path>) -> Result<(), ServiceError> {
    let mut arguments = vec![OsString::from(COMMAND)];
    if let Some(config) = config {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        arguments.extend([OsString::from("--config"), config.into()]);
    }
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: DISPLAY_NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: arguments,
        dependencies: Vec::new(),
        // The system itself.
        account_name: None,
        account_password: None,
    };
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::QUERY_STATUS | ServiceAccess::STOP;
    let service = match opened(&manager, access)? {
        Some(service) => {
            stop(&service)?;
            service.change_config(&info).map_err(fails("change"))?;
            service
        }
        None => manager.create_service(&info, access).map_err(fails("install"))?,
    };
    service.set_description(DESCRIPTION).map_err(fails("describe"))
}

/// Starts the service and waits until clients can connect.
///
/// # Errors
/// It is not installed, or does not come up.
pub fn start() -> Result<(), ServiceError> {
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::START;
    let service = opened(&manager(ServiceManagerAccess::CONNECT)?, access)?;
    let service = service.ok_or(ServiceError::NotInstalled)?;
    service.start::<&OsStr>(&[]).map_err(fails("start"))?;
    match wait_for(&service, "start", &[ServiceState::Running, ServiceState::Stopped])? {
        ServiceState::Running => Ok(()),
        _ => Err(ServiceError::Ended(log_directory()?)),
    }
}

/// Stops the service and removes it, and says so.
///
/// # Errors
/// Only an administrator may; or it does not stop.
pub fn uninstall() -> Result<String, ServiceError> {
    if !win32::is_elevated() {
        return Err(ServiceError::NotAdministrator);
    }
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = opened(&manager(ServiceManagerAccess::CONNECT)?, access)?;
    let service = service.ok_or(ServiceError::NotInstalled)?;
    stop(&service)?;
    service.delete().map_err(fails("remove"))?;
    Ok(format!("The service is removed. Its files stay in {}.", Directories::find()?.data.display()))
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&str>, access).map_err(fails("manage"))
}

/// The service, if it is installed.
fn opened(manager: &ServiceManager, access: ServiceAccess) -> Result<Option<Service>, ServiceError> {
    const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
    match manager.open_service(NAME, access) {
        Ok(service) => Ok(Some(service)),
        Err(windows_service::Error::Winapi(error))
            if error.raw_os_error() == Some(ERROR_SERVICE_DOES_NOT_EXIST) =>
        {
            Ok(None)
        }
        Err(error) => Err(fails("look up")(error)),
    }
}

fn stop(service: &Service) -> Result<(), ServiceError> {
    let state = service.query_status().map_err(fails("look at"))?.current_state;
    if state == ServiceState::Stopped {
        return Ok(());
    }
    service.stop().map_err(fails("stop"))?;
    wait_for(service, "stop", &[ServiceState::Stopped]).map(drop)
}

/// Waits until the service is in one of these states. *Blocking*.
fn wait_for(
    service: &Service,
    step: &'static str,
    states: &[ServiceState],
) -> Result<ServiceState, ServiceError> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let state = service.query_status().map_err(fails("look at"))?.current_state;
        if states.contains(&state) {
            return Ok(state);
        }
        thread::sleep(PAUSE);
    }
    Err(ServiceError::TimedOut { step, log: log_directory()? })
}

/// In the data directory, and so for administrators alone.
fn log_directory() -> Result<PathBuf, NoDirectory> {
    Ok(Directories::find()?.data.join("log"))
}

/// What the service does, until it is stopped; a fault is told in words.
type Daemon = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is run as soon as the manager says so.
static DAEMON: OnceLock<Daemon> = OnceLock::new();
/// Where it tells how far it is.
static STATUS: OnceLock<ServiceStatusHandle> = OnceLock::new();
/// That it is to stop.
static STOP: Notify = Notify::const_new();

/// Runs `daemon` as the service, until the manager stops it.
///
/// # Errors
/// Something else than the manager has started this.
pub fn run(daemon: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Result<(), ServiceError> {
    let _ = DAEMON.set(Box::new(daemon));
    service_dispatcher::start(NAME, entry).map_err(fails("run"))
}

define_windows_service!(entry, serve);

fn serve(_arguments: Vec<OsString>) {
    let handler = |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown => {
            STOP.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let Ok(status) = service_control_handler::register(NAME, handler) else { return };
    let _ = STATUS.set(status);
    set(ServiceState::StartPending, 0);
    let fault = DAEMON.get().and_then(|daemon| daemon().err());
    if let Some(fault) = &fault {
        tracing::error!("{fault}");
    }
    set(ServiceState::Stopped, u32::from(fault.is_some()));
}

/// Tells the service manager how far the daemon is, if that started it.
pub(super) fn notify(stage: Stage) {
    match stage {
        Stage::Ready => set(ServiceState::Running, 0),
        Stage::Stopping => set(ServiceState::StopPending, 0),
    }
}

fn set(state: ServiceState, fault: u32) {
    let Some(status) = STATUS.get() else { return };
    let accepted = ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN;
    let is_running = state == ServiceState::Running;
    let reported = status.set_service_status(ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: if is_running { accepted } else { ServiceControlAccept::empty() },
        exit_code: match fault {
            0 => ServiceExitCode::NO_ERROR,
            fault => ServiceExitCode::ServiceSpecific(fault),
        },
        checkpoint: 0,
        wait_hint: PATIENCE,
        process_id: None,
    });
    if let Err(error) = reported {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}

/// Completes when the service manager stops the daemon.
pub(super) async fn stop_requested() {
    STOP.notified().await;
}
