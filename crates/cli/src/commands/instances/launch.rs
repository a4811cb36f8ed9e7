//! `launch`: a new instance. Prints its name.

use rpc::launch_progress::ProgressType;
use rpc::launch_reply::CreateOneof;
use rpc::{LaunchProgress, LaunchReply, LaunchRequest};

use super::{cloud_init, image, no_password, status_details, time_limit};
use crate::args::LaunchArgs;
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::terminal::Progress;

/// Runs the command. To drop it is to give the launch up.
///
/// # Errors
/// The instance cannot be made or started, or not in time.
pub(crate) async fn launch(context: &Context, args: &LaunchArgs) -> Result<String, Error> {
    let mut request = request(context, args)?;
    if let Some(file) = &args.cloud_init {
        request.cloud_init_user_data = cloud_init::read(file).await?;
    }
    let service = Service::connect(context).await?;
    request.verbosity_level = service.verbosity_level();
    let mut progress = Progress::new("Launching");
    let mut rpc = service.rpc_for("launch");
    let mut name = None;
    let answer = rpc.launch(once(request.clone()));
    let answered = service.read_replies_with_progress(&mut progress, answer, |reply, progress| {
        handle_reply(reply, progress, &mut name)
    });
    time_limit::within(args.timeout, "to launch", answered)
        .await
        .map_err(|error| status_details::explain_launch(error, &request))?;
    let name: String = name.ok_or(Error::InvalidReply("the service did not report the instance's name"))?;
    Ok(format!("Launched: {name}\n"))
}

fn request(context: &Context, args: &LaunchArgs) -> Result<LaunchRequest, Error> {
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    let image = match &args.image {
        Some(image) => image::parse(image, &context.endpoint()?)?,
        None => image::Image::default(),
    };
    Ok(LaunchRequest {
        instance_name: given(&args.name),
        image: image.name,
        remote_name: image.remote,
        num_cores: args.cpus.unwrap_or_default(),
        mem_size: given(&args.memory),
        disk_space: given(&args.disk),
        timeout: args.timeout.unwrap_or_default(),
        ..Default::default()
    })
}

fn handle_reply(reply: LaunchReply, progress: &mut Progress, name: &mut Option<String>) -> Result<(), Error> {
    if reply.password_requested {
        return Err(no_password());
    }
    if !reply.nets_need_bridging.is_empty() {
        return Err(Error::Unsupported {
            message: format!(
                "the service asks whether it may bridge {}, which this client cannot answer",
                reply.nets_need_bridging.join(", ")
            ),
            next: Some("Launch the instance without that network.".to_owned()),
        });
    }
    match reply.create_oneof {
        Some(CreateOneof::VmInstanceName(launched)) if !launched.is_empty() => *name = Some(launched),
        Some(CreateOneof::LaunchProgress(at)) => progress.step(progress_step(&at), percent(&at)),
        Some(CreateOneof::CreateMessage(message)) if !message.is_empty() => progress.step(&message, None),
        _ => {}
    }
    Ok(())
}

fn progress_step(progress: &LaunchProgress) -> &'static str {
    match progress.r#type() {
        ProgressType::Image => "Retrieving image:",
        ProgressType::Extract => "Extracting image:",
        ProgressType::Verify => "Verifying image:",
        ProgressType::Waiting => "Preparing image:",
    }
}

/// A service that does not know how far it is sends -1.
fn percent(progress: &LaunchProgress) -> Option<u8> {
    progress.percent_complete.parse().ok().filter(|percent| *percent <= 100)
}
