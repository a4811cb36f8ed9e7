//! `start`, `restart`, `stop` and `suspend`. Success prints nothing.

use rpc::{RestartRequest, StartRequest, StopRequest, SuspendRequest};

use super::{instance_names, no_password, progress_label, status_details, time_limit};
use crate::args::{StartArgs, StopArgs, SuspendArgs};
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::terminal::Progress;

/// `start`.
///
/// # Errors
/// An instance does not start, or not in time.
pub(crate) async fn start(context: &Context, args: &StartArgs) -> Result<String, Error> {
    let instance_names = instance_names(&args.instances)?;
    let mut progress = Progress::new(&progress_label("Starting", &instance_names));
    let service = Service::connect(context).await?;
    let mut rpc = service.rpc_for("start");
    let request = StartRequest {
        instance_names: Some(instance_names),
        verbosity_level: service.verbosity_level(),
        timeout: args.timeout.unwrap_or_default(),
        ..Default::default()
    };
    let answer = rpc.start(once(request));
    let answered = service.read_replies_with_progress(&mut progress, answer, |reply: rpc::StartReply, _| {
        if reply.password_requested { Err(no_password()) } else { Ok(()) }
    });
    time_limit::within(args.timeout, "to start", answered).await.map_err(status_details::explain_start)?;
    Ok(String::new())
}

/// `restart`.
///
/// # Errors
/// An instance does not restart, or not in time.
pub(crate) async fn restart(context: &Context, args: &StartArgs) -> Result<String, Error> {
    let instance_names = instance_names(&args.instances)?;
    let mut progress = Progress::new(&progress_label("Restarting", &instance_names));
    let service = Service::connect(context).await?;
    let mut rpc = service.rpc_for("restart");
    let request = RestartRequest {
        instance_names: Some(instance_names),
        verbosity_level: service.verbosity_level(),
        timeout: args.timeout.unwrap_or_default(),
        ..Default::default()
    };
    let answer = rpc.restart(once(request));
    let answered =
        service.read_replies_with_progress(&mut progress, answer, |reply: rpc::RestartReply, _| {
            if reply.password_requested { Err(no_password()) } else { Ok(()) }
        });
    time_limit::within(args.timeout, "to restart", answered).await.map_err(status_details::explain_start)?;
    Ok(String::new())
}

/// `stop`.
///
/// # Errors
/// An instance does not stop.
pub(crate) async fn stop(context: &Context, args: &StopArgs) -> Result<String, Error> {
    let instance_names = instance_names(&args.instances)?;
    let doing = match (args.cancel, args.time) {
        (true, _) => "Cancelling the delayed shutdown of",
        (false, Some(1..)) => "Requesting the delayed shutdown of",
        (false, _) => "Stopping",
    };
    let mut progress = Progress::new(&progress_label(doing, &instance_names));
    let service = Service::connect(context).await?;
    let mut rpc = service.rpc_for("stop");
    let request = StopRequest {
        instance_names: Some(instance_names),
        time_minutes: args.time.unwrap_or_default(),
        cancel_shutdown: args.cancel,
        verbosity_level: service.verbosity_level(),
        force_stop: args.force,
    };
    let answer = rpc.stop(once(request));
    service.read_replies_with_progress(&mut progress, answer, |_: rpc::StopReply, _| Ok(())).await?;
    Ok(String::new())
}

/// `suspend`.
///
/// # Errors
/// An instance cannot be suspended.
pub(crate) async fn suspend(context: &Context, args: &SuspendArgs) -> Result<String, Error> {
    let instance_names = instance_names(&args.instances)?;
    let mut progress = Progress::new(&progress_label("Suspending", &instance_names));
    let service = Service::connect(context).await?;
    let mut rpc = service.rpc_for("suspend");
    let verbosity_level = service.verbosity_level();
    let request = SuspendRequest { instance_names: Some(instance_names), verbosity_level };
    let answer = rpc.suspend(once(request));
    service.read_replies_with_progress(&mut progress, answer, |_: rpc::SuspendReply, _| Ok(())).await?;
    Ok(String::new())
}
