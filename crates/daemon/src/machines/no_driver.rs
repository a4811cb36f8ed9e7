//! No driver: this daemon was built without one.

use std::path::Path;

use instances::Instances;

use crate::machines::InstancesUnavailable;

/// Finds no instances.
#[expect(clippy::unused_async, reason = "as the driver that waits for its machines")]
pub(crate) async fn open(_data: &Path, _cache: &Path) -> Result<Instances, InstancesUnavailable> {
    Err(InstancesUnavailable::NoDriver(
        "this multipassd was built without the feature 'qemu', or for a platform that the driver does not support"
            .into(),
    ))
}
