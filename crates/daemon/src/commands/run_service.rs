//! `multipassd run-service`: the daemon, as the service manager of Windows starts it. It does what a daemon does that is
//! started by hand, and logs into files, for it has no standard error.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;
use durable::private;

use crate::config::{Arguments, Install, Settings};
use crate::platform::Directories;
use crate::platform::windows_service::{self, ServiceError};
use crate::{data_directory, logging, run};

/// Runs the service until the manager stops it.
///
/// # Errors
/// Something else than the manager has started this.
pub fn run_service(how: &Install) -> Result<(), ServiceError> {
    let config = how.config.clone();
    windows_service::run(move || serve_until_stopped(config.as_deref()))
}

/// The log begins with the settings. Where there can be no log, it goes unheard.
fn serve_until_stopped(config: Option<&Path>) -> Result<(), String> {
    let data = Directories::find().map_err(|error| error.to_string())?.data;
    let settings = settings(config);
    let verbosity = settings.as_ref().map(|settings| settings.verbosity).unwrap_or_default();
    let log = data.join("log");
    if data_directory::create(&data).and_then(|()| private::directory(&log)).is_ok() {
        logging::start_in(&log, verbosity);
    }
    run::run(&settings?).map_err(|error| logging::with_causes(&error))
}

fn settings(config: Option<&Path>) -> Result<Settings, String> {
    let config = config.into_iter().flat_map(|file| [OsString::from("--config"), file.into()]);
    let arguments = Arguments::try_parse_from(std::iter::once(OsString::from("multipassd")).chain(config));
    arguments.map_err(|error| error.to_string())?.settings().map_err(|error| error.to_string())
}
