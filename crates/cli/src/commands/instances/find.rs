//! `find`: the images that can be launched.

use rpc::FindRequest;

use super::image;
use crate::args::FindArgs;
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::format;
use crate::terminal::Progress;

/// Runs the command.
///
/// # Errors
/// The call failed.
pub(crate) async fn find(context: &Context, args: &FindArgs) -> Result<String, Error> {
    let (remote_name, search_string) = args.search.as_deref().map(image::split_remote).unwrap_or_default();
    let service = Service::connect(context).await?;
    let mut progress = Progress::new("Looking for images");
    let mut rpc = service.rpc_for("find");
    let request = FindRequest {
        search_string,
        remote_name,
        verbosity_level: service.verbosity_level(),
        allow_unsupported: args.show_unsupported,
        force_manifest_network_download: args.force_update,
    };
    let mut images = Vec::new();
    let answer = rpc.find(once(request));
    service
        .read_replies_with_progress(&mut progress, answer, |reply: rpc::FindReply, _| {
            images.extend(reply.images_info);
            Ok(())
        })
        .await?;
    format::find::images(&images, args.format.format)
}
