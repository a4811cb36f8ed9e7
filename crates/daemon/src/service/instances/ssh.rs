//! `ssh_info`: how stock clients on this machine reach a guest.

use auth_core::{Authenticated, Channel};
use rpc::{SshInfo, SshInfoReply, SshInfoRequest};
use tonic::Status;

use super::{Service, check_name_count, failure, is_not_deleted, key_text, select};

/// Tells where guests answer, and the keys that open them.
pub(in crate::service) async fn ssh_info(
    service: &Service,
    by: &Authenticated,
    request: SshInfoRequest,
) -> Result<SshInfoReply, Status> {
    check_name_count(request.instance_name.len())?;
    let instances = service.instances().await?;
    // Guests answer on this machine's loopback alone, so that elsewhere the key is of no use but to a thief.
    if let Channel::Remote(address) = by.channel()
        && !address.is_loopback()
    {
        return Err(Status::failed_precondition(
            "This call works only on the service's own machine. Run the command there.",
        ));
    }
    let mut reply = SshInfoReply::default();
    for one in select(&instances, &request.instance_name, is_not_deleted).await? {
        let access = instances.connect(&one.name).await.map_err(|error| failure::status(&error))?;
        let info = SshInfo {
            port: access.address.port().into(),
            // Despite its name in the contract: the key as a file holds it, which is what libssh reads.
            priv_key_base64: key_text(&one.name, &access)?,
            host: access.address.ip().to_string(),
            username: access.user.to_owned(),
        };
        reply.ssh_info.insert(one.name.to_string(), info);
    }
    Ok(reply)
}
