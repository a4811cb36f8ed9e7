//! The commands about instances: what they have in common.

mod cloud_init;
mod delete;
mod exec;
mod find;
mod image;
mod launch;
mod networks;
mod power;
mod shell;
mod status_details;
mod time_limit;
mod transfer;

use rpc::InstanceNames;

use crate::args::InstancesArg;
use crate::commands::settings::primary_name;
use crate::error::Error;

pub(super) use delete::{delete, purge, recover};
pub(super) use exec::exec;
pub(super) use find::find;
pub(super) use launch::launch;
pub(super) use networks::networks;
pub(super) use power::{restart, start, stop, suspend};
pub(super) use shell::shell;
pub(super) use transfer::transfer;

/// The instances that a command is about, as the service wants it: none for all of them.
fn instance_names(instances: &InstancesArg) -> Result<InstanceNames, Error> {
    let instance_name = match (instances.all, instances.names.as_slice()) {
        (true, _) => Vec::new(),
        (false, []) => vec![primary_name::required(" --all means all of them.")?],
        (false, names) => names.to_vec(),
    };
    Ok(InstanceNames { instance_name })
}

/// What a step says that is done to some instances.
fn progress_label(doing: &str, instances: &InstanceNames) -> String {
    match instances.instance_name.as_slice() {
        [] => format!("{doing} all instances"),
        names => format!("{doing} {}", names.join(", ")),
    }
}

/// The service wants the password of this machine's user, which only mounts on some systems need.
fn no_password() -> Error {
    Error::Unsupported {
        message: "the service asks for a password, which this client cannot send".to_owned(),
        next: Some(
            "Unmount what is mounted in the instance, or use the client that came with the service."
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_instances_are_named_by_naming_none() {
        let chosen = |names: &[&str], all| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            instance_names(&InstancesArg { names, all }).expect("names").instance_name
        };
        assert_eq!(chosen(&["a", "b"], false), ["a", "b"]);
        assert!(chosen(&[], true).is_empty());
        assert_eq!(chosen(&[], false).len(), 1, "the primary one, and never all");
    }
}
