//! `find` and `networks`: what instances can be made of and connected to.

use std::collections::BTreeMap;

use auth_core::Authenticated;
use rpc::find_reply::ImageInfo;
use rpc::{FindReply, FindRequest, NetworksReply, NetworksRequest};
use tonic::Status;

use super::{Service, failure};
use crate::service::status::excerpt;

/// As much of a digest as people type.
const SHORT: usize = 12;

/// The images that are kept here. There are no remotes.
pub(in crate::service) async fn find(
    service: &Service,
    _by: &Authenticated,
    request: FindRequest,
) -> Result<FindReply, Status> {
    let instances = service.instances().await?;
    if !request.remote_name.is_empty() {
        return Err(Status::invalid_argument(format!(
            "Remote \"{}\" is unknown: this service has no remotes. Give the address of an image to 'launch'.",
            excerpt(&request.remote_name)
        )));
    }
    let origins: BTreeMap<_, _> =
        instances.list().await.into_iter().map(|one| (one.image, one.origin)).collect();
    let mut kept = instances.images().await.map_err(|error| failure::status(&error))?;
    kept.sort();
    let images = kept.into_iter().map(|digest| {
        let origin = origins.get(&digest).map(String::as_str).unwrap_or_default();
        let short: String = digest.to_string().chars().take(SHORT).collect();
        ImageInfo { release: release(origin).to_owned(), aliases: vec![short], ..Default::default() }
    });
    let wanted = request.search_string.as_str();
    let is_wanted = |image: &ImageInfo| {
        image.release.contains(wanted) || image.aliases.iter().any(|alias| alias.starts_with(wanted))
    };
    Ok(FindReply { images_info: images.filter(is_wanted).collect(), ..Default::default() })
}

/// Instances are connected by user-mode networking alone: there is no network to choose.
pub(in crate::service) async fn networks(
    service: &Service,
    _by: &Authenticated,
    _: NetworksRequest,
) -> Result<NetworksReply, Status> {
    service.instances().await.map(|_| NetworksReply::default())
}

/// What people know an image by that came from there: the last part of its address.
pub(super) fn release(origin: &str) -> &str {
    origin.rsplit('/').next().unwrap_or(origin)
}
