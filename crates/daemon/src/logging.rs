//! The daemon's log. Only our own crates speak in it beyond warnings: a dependency's debug messages
//! could carry what clients sent.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Logger, Verbosity};

/// How often what peers can bring about at will is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Starts logging. Where the system's log cannot be reached, standard error takes its place.
pub fn start(logger: Logger, verbosity: Verbosity) {
    let platform = match logger {
        Logger::Platform => system_log(),
        Logger::Stderr => None,
    };
    let fell_back = logger == Logger::Platform && platform.is_none();
    let layer = platform.unwrap_or_else(|| {
        let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr())
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(ansi)
            .with_target(false)
            .boxed()
    });
    tracing_subscriber::registry().with(layer.with_filter(filter(verbosity))).init();
    if fell_back {
        tracing::warn!("the system's log cannot be reached; logging to standard error");
    }
}

/// Starts logging into files in `directory`, a new one each day, of which the last fourteen are kept: for a service
/// that has no standard error.
#[cfg(windows)]
pub fn start_in(directory: &std::path::Path, verbosity: Verbosity) {
    let Some(layer) = files_in(directory) else { return };
    tracing_subscriber::registry().with(layer.with_filter(filter(verbosity))).init();
}

/// A new file each day, of which the last fourteen are kept.
#[cfg(any(windows, target_os = "macos"))]
fn files_in(directory: &std::path::Path) -> Option<BoxedLayer> {
    const KEPT: usize = 14;
    let files = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("multipassd")
        .filename_suffix("log")
        .max_log_files(KEPT)
        .build(directory);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::sync::Mutex::new(files.ok()?));
    Some(layer.with_ansi(false).with_target(false).boxed())
}

/// A limit for messages that peers can bring about at will: one a minute.
#[derive(Debug, Default)]
pub(crate) struct LogRateLimit {
    logged: Option<Instant>,
    unlogged: u64,
}

impl LogRateLimit {
    /// It has occurred. If it is to be logged: how many times since it was logged before, with this one.
    pub(crate) fn occurred(&mut self) -> Option<u64> {
        self.unlogged = self.unlogged.saturating_add(1);
        if self.logged.is_some_and(|at| at.elapsed() < LOG_INTERVAL) {
            return None;
        }
        self.logged = Some(Instant::now());
        Some(std::mem::take(&mut self.unlogged))
    }
}

/// What is logged.
fn filter(verbosity: Verbosity) -> Targets {
    let level = match verbosity {
        Verbosity::Error => LevelFilter::ERROR,
        Verbosity::Warning => LevelFilter::WARN,
        Verbosity::Info => LevelFilter::INFO,
        Verbosity::Debug => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_target("daemon", level)
        // They warn of frames and datagrams that any peer can send, as many as they like.
        .with_target("h2", level.min(LevelFilter::ERROR))
        .with_target("quinn_proto", level.min(LevelFilter::ERROR))
        .with_default(level.min(LevelFilter::WARN))
}

type BoxedLayer = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

#[cfg(target_os = "linux")]
fn system_log() -> Option<BoxedLayer> {
    tracing_journald::layer().ok().map(Layer::boxed)
}

/// Where the machine's daemon logs on macOS, as the stock one does: what standard error is put into there grows
/// without end.
#[cfg(any(all(test, unix), target_os = "macos"))]
pub(crate) const SYSTEM_LOGS: &str = "/Library/Logs/Multipass";

/// Files that root alone reads. A user's own daemon has none.
#[cfg(target_os = "macos")]
fn system_log() -> Option<BoxedLayer> {
    let place = std::path::Path::new(SYSTEM_LOGS);
    let own = crate::platform::is_system_service().then(|| durable::private::directory(place))?;
    own.ok().and_then(|()| files_in(place))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn system_log() -> Option<BoxedLayer> {
    None
}

/// An error and all that caused it, in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some errors already quote their cause.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_occurs_often_is_logged_once_a_minute_with_its_number() {
        let mut limit = LogRateLimit::default();
        assert_eq!(limit.occurred(), Some(1));
        assert_eq!((0..99).filter_map(|_| limit.occurred()).next(), None);
        tokio::time::advance(LOG_INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(limit.occurred(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limit.occurred(), Some(101));
        assert_eq!(limit.occurred(), None);
    }
}
