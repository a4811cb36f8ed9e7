//! From the command line to a daemon that serves, and to its end.

mod background;
mod error;
#[cfg(unix)]
#[cfg(test)]
mod launchd;
mod startup;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use transport::Endpoint;

use self::background::Background;
use self::startup::{ListenerSetup, Trust};
use crate::config::Settings;
use crate::machines::Machines;
use crate::platform::{self, Directories, Hangups, Stage, StopRequests};
use crate::service::Service;
use crate::trust::{last_seen, reload};
use crate::{audit, connections, server_identity};
pub use error::RunError;

/// Threads that serve connections. The service waits for files and hashes elsewhere, and is idle
/// most of the time.
const MAX_WORKERS: usize = 4;
/// How often the server certificate is looked at. It is renewed months before it ends.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(60 * 60);

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

/// Starts everything, serves, and brings everything to its end.
async fn start(settings: &Settings) -> Result<(), RunError> {
    // Before anything is there that a signal, unhandled, would leave behind.
    let mut stop_requests = StopRequests::new().map_err(RunError::Runtime)?;
    let hangups = || Hangups::new().map_err(RunError::Runtime);
    let (certificate_hangups, trust_hangups) = (hangups()?, hangups()?);
    startup::require_descriptors()?;
    let Directories { data, cache, root_certificate } = Directories::find()?;
    let now = SystemTime::now();
    let _lock = startup::claim(&data)?;
    let machines = Machines::open(data.clone(), cache);
    let trust = Trust::open(&data, now)?;
    let published = settings.root_cert.clone().unwrap_or(root_certificate);
    let tls = startup::server_tls(&data, &published, now)?;
    let ListenerSetup { listeners, endpoints, gate, admin_gid } =
        startup::listen(settings, &tls, &trust.store).await?;
    let (refusals, refusal_writer) = audit::refusals(&trust.records);
    let (last_seen, presence) = last_seen::restore(&data);
    let authority = startup::authority(&trust, gate.clone(), admin_gid);
    let service = Service::new(authority, data.clone(), refusals, trust.changes.clone(), machines.clone())
        .with_presence(presence.clone())
        .with_addresses(endpoints.clone());
    for endpoint in &endpoints {
        tracing::info!("listening on {endpoint}");
    }

    tokio::spawn(server_identity::keep_fresh(
        tls,
        data,
        published.clone(),
        CERTIFICATE_CHECK,
        SystemTime::now,
        certificate_hangups,
    ));
    tokio::spawn(reload::follow(Arc::clone(&trust.store), gate, trust.changes, trust_hangups));
    let background = Background::spawn(trust.store, last_seen, presence, refusal_writer);
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(connections::serve(listeners, Arc::new(service), stop.clone()));
    if !platform::is_system_service()
        && let Some(first) = endpoints.first()
    {
        print_environment(first, &published);
    }
    platform::notify_manager(Stage::Ready);
    tokio::select! {
        asked = stop_requests.next() => asked.map_err(RunError::Runtime)?,
        _ = &mut serving => return Err(RunError::Ended),
    }

    tracing::info!("stopping");
    platform::notify_manager(Stage::Stopping);
    stop.cancel();
    serving.await.map_err(|error| RunError::Runtime(error.into()))?;
    machines.settle().await;
    background.finish().await;
    Ok(())
}

/// Says, ready for a shell, how clients reach a daemon that is not the system's.
#[expect(clippy::print_stdout, reason = "this is the program's output; the log goes elsewhere")]
fn print_environment(endpoint: &Endpoint, root_certificate: &Path) {
    println!("{}", platform::shell_setting("MULTIPASS_SERVER_ADDRESS", &endpoint.to_string()));
    println!("{}", platform::shell_setting("MULTIPASS_ROOT_CERT", &root_certificate.display().to_string()));
}
