//! `info`: all that is known about instances or snapshots.

use rpc::InstanceSnapshotPair;

use crate::args::{Format, InfoArgs};
use crate::connection::{Context, Service, once};
use crate::error::Error;
use crate::format;

/// Runs the command.
///
/// # Errors
/// A name is malformed, an instance does not exist, or the call failed.
pub(super) async fn run(context: &Context, args: &InfoArgs) -> Result<String, Error> {
    let instance_snapshot_pairs: Vec<_> =
        args.names.iter().map(|name| parse(name)).collect::<Result<_, _>>()?;
    let mut service = Service::connect(context).await?;
    service.note_call("info");
    let request = rpc::InfoRequest {
        instance_snapshot_pairs,
        verbosity_level: service.verbosity_level(),
        no_runtime_information: args.no_runtime_information,
        snapshots: args.snapshots,
    };
    let mut details = Vec::new();
    let answer = service.rpc.info(once(request)).await;
    service.read_replies(answer, |reply: rpc::InfoReply| details.extend(reply.details)).await?;

    let (snapshots, instances): (Vec<_>, Vec<_>) =
        details.iter().partition(|item| format::info::is_snapshot(item));
    let format = args.format.format;
    if format == Format::Csv && !snapshots.is_empty() && !instances.is_empty() {
        return Err(Error::usage(
            "CSV has room for either instances or snapshots, not for both",
            Some("Ask for them one after the other, or use `--format json`.".to_owned()),
        ));
    }
    if format == Format::Table && details.is_empty() && args.snapshots {
        return Ok(format::list::NO_SNAPSHOTS.to_owned());
    }
    format::info::details(&instances, &snapshots, format)
}

/// Reads `instance` or `instance.snapshot`; an instance's name has no dot.
///
/// # Errors
/// One of them is empty.
pub(super) fn parse(name: &str) -> Result<InstanceSnapshotPair, Error> {
    let (instance, snapshot) = match name.split_once('.') {
        Some((instance, snapshot)) => (instance, Some(snapshot)),
        None => (name, None),
    };
    if instance.is_empty() || snapshot.is_some_and(str::is_empty) {
        return Err(Error::usage(
            format!("'{name}' names no instance or snapshot"),
            Some("Write <instance> or <instance>.<snapshot>.".to_owned()),
        ));
    }
    Ok(InstanceSnapshotPair {
        instance_name: instance.to_owned(),
        snapshot_name: snapshot.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_instances_and_snapshots() {
        for (name, instance, snapshot) in
            [("foo", "foo", None), ("foo.snapshot1", "foo", Some("snapshot1")), ("a.b.c", "a", Some("b.c"))]
        {
            let pair = parse(name).expect(name);
            assert_eq!((pair.instance_name.as_str(), pair.snapshot_name.as_deref()), (instance, snapshot));
        }
        for name in ["", ".", ".snapshot1", "foo."] {
            assert_eq!(parse(name).expect_err(name).exit_code(), 1, "{name:?}");
        }
    }
}
