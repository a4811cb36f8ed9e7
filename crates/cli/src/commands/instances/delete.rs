//! `delete`, `recover` and `purge`. Success prints nothing.

use rpc::{DeleteRequest, InstanceNames, PurgeRequest, RecoverRequest};

use super::progress_label;
use crate::args::{DeleteArgs, RecoverArgs};
use crate::commands::info;
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::terminal::{Progress, prompt};

/// What the service asks before it deletes snapshots, which do not come back.
const PURGE_SNAPSHOTS: &str =
    "Deleted snapshots cannot be recovered. Do you want to delete them all the same?";

/// `delete`.
///
/// # Errors
/// An instance or a snapshot cannot be deleted.
pub(crate) async fn delete(context: &Context, args: &DeleteArgs) -> Result<String, Error> {
    let pairs: Vec<_> = args.names.iter().map(|name| info::parse(name)).collect::<Result<_, _>>()?;
    let service = Service::connect(context).await?;
    let mut request = DeleteRequest {
        instance_snapshot_pairs: pairs,
        purge: args.purge,
        verbosity_level: service.verbosity_level(),
        purge_snapshots: args.purge,
    };
    if ask_to_delete(&service, request.clone()).await? == Outcome::MustConfirm {
        if !prompt::stdin_and_stderr_are_terminals() || !prompt::confirm(PURGE_SNAPSHOTS).await? {
            return Err(Error::failed(
                "deleted snapshots cannot be recovered, so nothing was deleted",
                "To delete them for good, use --purge.".to_owned(),
            ));
        }
        request.purge_snapshots = true;
        if ask_to_delete(&service, request).await? == Outcome::MustConfirm {
            return Err(Error::InvalidReply("the service does not take the confirmation"));
        }
    }
    Ok(String::new())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Nothing was done yet, as snapshots are lost by it.
    MustConfirm,
}

async fn ask_to_delete(service: &Service, request: DeleteRequest) -> Result<Outcome, Error> {
    let mut progress = Progress::new("Deleting");
    let mut rpc = service.rpc_for("delet");
    let mut outcome = Outcome::Done;
    let answered = service
        .read_replies_with_progress(&mut progress, rpc.delet(once(request)), |reply: rpc::DeleteReply, _| {
            if reply.confirm_snapshot_purging {
                outcome = Outcome::MustConfirm;
                // Ends the call: the answer is another one, for which the user may take his time.
                return Err(Error::InvalidReply("the service asks for a confirmation"));
            }
            Ok(())
        })
        .await;
    if outcome == Outcome::Done {
        answered?;
    }
    Ok(outcome)
}

/// `recover`.
///
/// # Errors
/// An instance cannot be recovered.
pub(crate) async fn recover(context: &Context, args: &RecoverArgs) -> Result<String, Error> {
    let instance_names = InstanceNames { instance_name: args.names.clone() };
    let mut progress = Progress::new(&progress_label("Recovering", &instance_names));
    let service = Service::connect(context).await?;
    let mut rpc = service.rpc_for("recover");
    let verbosity_level = service.verbosity_level();
    let request = RecoverRequest { instance_names: Some(instance_names), verbosity_level };
    let answer = rpc.recover(once(request));
    service.read_replies_with_progress(&mut progress, answer, |_: rpc::RecoverReply, _| Ok(())).await?;
    Ok(String::new())
}

/// `purge`.
///
/// # Errors
/// An instance cannot be purged.
pub(crate) async fn purge(context: &Context) -> Result<String, Error> {
    let mut progress = Progress::new("Purging deleted instances");
    let service = Service::connect(context).await?;
    let mut rpc = service.rpc_for("purge");
    let request = PurgeRequest { verbosity_level: service.verbosity_level() };
    let answer = rpc.purge(once(request));
    service.read_replies_with_progress(&mut progress, answer, |_: rpc::PurgeReply, _| Ok(())).await?;
    Ok(String::new())
}
