//! What the daemon says of itself and its machine.

use auth_core::Authenticated;
use rpc::{
    DaemonInfoReply, DaemonInfoRequest, VersionReply, VersionRequest, WaitReadyReply, WaitReadyRequest,
};
use tonic::Status;

use super::{Service, status};

pub(super) async fn version(
    _: &Service,
    _by: &Authenticated,
    _: VersionRequest,
) -> Result<VersionReply, Status> {
    Ok(VersionReply { version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() })
}

/// Who reaches the daemon finds it ready: it listens only when it is.
pub(super) async fn wait_ready(
    _: &Service,
    _by: &Authenticated,
    _: WaitReadyRequest,
) -> Result<WaitReadyReply, Status> {
    Ok(WaitReadyReply::default())
}

/// Free space of the data directory's file system and the machine's memory, in bytes; its CPUs.
pub(super) async fn daemon_info(
    service: &Service,
    _by: &Authenticated,
    _: DaemonInfoRequest,
) -> Result<DaemonInfoReply, Status> {
    let data = service.data.clone();
    let available_space = service.blocking(move |_| fs4::available_space(&data)).await?.map_err(|error| {
        tracing::error!("daemon_info: the free space of the data directory is unknown: {error}");
        status::internal()
    })?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = service
        .blocking(|_| {
            sysinfo::System::new().map(|mut system| {
                system.refresh_memory();
                system.total_memory()
            })
        })
        .await?
        .map_err(|error| {
            tracing::error!("daemon_info: the machine's memory is unknown: {error}");
            status::internal()
        })?;
    Ok(DaemonInfoReply {
        available_space,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory,
        ..Default::default()
    })
}
