//! `doctor`: what stands between this user and the service, and how it is fixed.

use crate::args::DoctorArgs;
use crate::connection::Context;
use crate::error::Error;
use crate::terminal::output;
use crate::{doctor, format};

/// Runs the command.
///
/// # Errors
/// Something keeps this client from using the service. What was found was printed all the same.
pub(super) async fn run(context: &Context, args: &DoctorArgs) -> Result<String, Error> {
    let report = doctor::diagnose(context).await;
    let text = format::doctor::report(&report, args.format.format)?;
    match report.problems() {
        0 => Ok(text),
        problems => {
            output::print(&text).map_err(Error::Output)?;
            Err(Error::ProblemsFound { problems })
        }
    }
}
