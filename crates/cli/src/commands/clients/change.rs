//! `clients rename` and `clients set-level`: a client stays trusted, and is called something else or may do something
//! else.

use rpc::trust::{RenameRequest, SetLevelRequest};

use super::find::find_client;
use super::{confirm, display_name, into_reply, is_own, list_clients};
use crate::args::{Level, RenameClientArgs, SetLevelArgs};
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::terminal::text;

/// Runs `clients rename`.
///
/// # Errors
/// No such client is trusted, or the service refused.
pub(super) async fn rename(context: &Context, args: &RenameClientArgs) -> Result<String, Error> {
    let mut service = Service::connect_as_administrator(context).await?;
    let clients = list_clients(&mut service).await?;
    let client = find_client(&clients, &args.client)?;
    service.note_call("Rename");
    let request = RenameRequest { fingerprint: client.fingerprint.clone(), name: args.name.clone() };
    let answer = service.trust.rename(request).await;
    into_reply(&service.endpoint, answer)?;
    let (before, now) =
        (display_name(&client.name, &client.fingerprint), display_name(&args.name, &client.fingerprint));
    Ok(format!("The client {before} is {now} from now on.\n"))
}

/// Runs `clients set-level`.
///
/// # Errors
/// No such client is trusted, nobody confirmed it, or the service refused.
pub(super) async fn set_level(context: &Context, args: &SetLevelArgs) -> Result<String, Error> {
    let mut service = Service::connect_as_administrator(context).await?;
    let clients = list_clients(&mut service).await?;
    let client = find_client(&clients, &args.client)?;
    // Everything is too much for whose name only begins so.
    if args.level == Level::Full && client.name.starts_with(&args.client) && client.name != args.client {
        return Err(Error::failed(
            format!(
                "'{}' is not the whole name of {}",
                text::one_line(&args.client),
                display_name(&client.name, &client.fingerprint)
            ),
            "Give the whole name, or digits of the fingerprint.".to_owned(),
        ));
    }
    if args.level == Level::ReadOnly && is_own(&service, client) && !args.yes {
        confirm("Let it only read from now on?", "the client may still do everything").await?;
    }
    service.note_call("SetLevel");
    let (fingerprint, level) = (client.fingerprint.clone(), args.level.name());
    let answer = service.trust.set_level(SetLevelRequest { fingerprint, level: level.to_owned() }).await;
    into_reply(&service.endpoint, answer)?;
    let may = match args.level {
        Level::Full => "may do everything",
        Level::ReadOnly => "may only read",
    };
    Ok(format!("The client {} {may} from now on.\n", display_name(&client.name, &client.fingerprint)))
}
