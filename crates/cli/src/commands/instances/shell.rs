//! `shell`: the user's shell in an instance, which is started for it; the primary one is made if there is none.

use tonic::Code;

use super::{launch, start};
use crate::args::{InstancesArg, LaunchArgs, ShellArgs, StartArgs};
use crate::commands::settings::primary_name;
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::guest::{Guest, attach};
use crate::terminal::{TerminationSignals, output};

/// Runs the command.
///
/// # Errors
/// The instance does not come up, or the shell has failed.
pub(crate) async fn shell(context: &Context, args: &ShellArgs) -> Result<String, Error> {
    let name = match &args.instance {
        Some(name) => name.clone(),
        None => primary_name::required("")?,
    };
    let mut signals = TerminationSignals::of_process();
    let (service, guest) = signals.interrupt(connect_or_start(context, &name)).await?;
    let outcome = attach(guest, None, &mut signals).await;
    drop(service);
    outcome
}

async fn connect_or_start(context: &Context, name: &str) -> Result<(Service, Guest), Error> {
    let service = Service::connect(context).await?;
    let refused = match Guest::connect(&service, name).await {
        Ok(guest) => return Ok((service, guest)),
        Err(Error::Refused(status)) => status,
        Err(error) => return Err(error),
    };
    match refused.code() {
        // The stock service says it by the latter.
        Code::FailedPrecondition | Code::Aborted => start(context, &start_args(name)).await?,
        Code::NotFound if primary_name::get()? == name => launch(context, &launch_args(name)).await?,
        _ => return Err(Error::Refused(refused)),
    };
    let guest = Guest::connect(&service, name).await?;
    Ok((service, guest))
}

fn start_args(name: &str) -> StartArgs {
    StartArgs { instances: InstancesArg { names: vec![name.to_owned()], all: false }, timeout: None }
}

fn launch_args(name: &str) -> LaunchArgs {
    output::tell(&format!("There is no instance \"{name}\" yet: launching it."));
    LaunchArgs {
        image: None,
        name: Some(name.to_owned()),
        cpus: None,
        memory: None,
        disk: None,
        cloud_init: None,
        timeout: None,
    }
}
