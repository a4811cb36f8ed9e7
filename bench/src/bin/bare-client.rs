//! The least that `multipass list` can do: load the certificates, connect, call once, print, exit. No command
//! line to speak of, no errors for people, no signals, one format.

use std::io::Write;
use std::sync::Arc;

use anyhow::bail;
use bench::{Place, Visitor};
use rpc::list_reply::ListContents;
use transport::Endpoint;
use transport_unix::UnixTransport;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [socket, root, certificate, key] = arguments.as_slice() else {
        bail!("usage: bare-client SOCKET ROOT CERTIFICATE KEY");
    };
    let place = Place {
        address: Endpoint::Unix(socket.into()),
        root: root.into(),
        certificate: certificate.into(),
        key: key.into(),
    };
    let visitor = Visitor::over(Arc::new(UnixTransport::default()), &place)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(async { visitor.connect().await?.list().await })?;
    match reply.list_contents {
        Some(ListContents::InstanceList(list)) if list.instances.is_empty() => {
            writeln!(std::io::stdout(), "No instances found.")?;
            Ok(())
        }
        other => bail!("there should be no instances: {other:?}"),
    }
}
