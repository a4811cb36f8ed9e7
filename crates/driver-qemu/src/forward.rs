//! The port of the loopback where a guest's SSH port is reached.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use instances::DriverError;
use tokio::net::UnixStream;

use crate::arguments::NETWORK;
use crate::error::failed;
use crate::qmp::commands::HumanMonitor;
use crate::qmp::{Qmp, printable};

const WHAT: &str = "forward a port to the virtual machine";
/// Another program may take a free port just before QEMU does; that it happens so often takes a fault.
const ATTEMPTS: usize = 8;

/// Has QEMU forward a free port; returns it.
///
/// # Errors
/// There is none, or QEMU does not do it.
pub(crate) async fn add(qmp: &Qmp<UnixStream>) -> Result<u16, DriverError> {
    let mut refused = String::new();
    for _ in 0..ATTEMPTS {
        let port = free_port().map_err(failed(WHAT))?;
        let command_line = format!("hostfwd_add {NETWORK} tcp:{}:{port}-:22", Ipv4Addr::LOCALHOST);
        // The monitor says nothing where it has done it.
        refused = qmp.run(HumanMonitor { command_line }).await.map_err(failed(WHAT))?;
        if refused.trim().is_empty() {
            return Ok(port);
        }
    }
    Err(failed(WHAT)(printable(&refused)))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
