//! What `info` shows of the directories that are mounted in an instance.

use rpc::mount_info::MountPaths;
use rpc::{DetailedInfoItem, IdMap};
use serde_json::{Map, Value, json};

use crate::format::table::{WIDEST, padded};
use crate::format::values::or_unknown;

/// Them in JSON and YAML.
pub(super) fn entry(item: &DetailedInfoItem) -> Map<String, Value> {
    mounts_of(item)
        .iter()
        .map(|mount| {
            let (users, groups) = mappings(mount);
            let description =
                json!({ "source_path": mount.source_path, "uid_mappings": users, "gid_mappings": groups });
            (mount.target_path.clone(), description)
        })
        .collect()
}

/// Them in a column of CSV.
pub(super) fn cell(item: &DetailedInfoItem) -> String {
    let mounts =
        mounts_of(item).iter().map(|mount| format!("{} => {}", mount.source_path, mount.target_path));
    mounts.collect::<Vec<_>>().join(";")
}

/// Them for people.
pub(super) fn lines(item: &DetailedInfoItem) -> Vec<String> {
    let mounts = mounts_of(item);
    let widest = mounts.iter().map(|mount| mount.source_path.chars().count()).max().unwrap_or(0);
    let width = widest.min(WIDEST);
    mounts
        .iter()
        .flat_map(|mount| {
            let (users, groups) = mappings(mount);
            [
                format!("{} => {}", padded(&mount.source_path, width), mount.target_path),
                format!("    UID map: {}", or_unknown(&users.join(", "))),
                format!("    GID map: {}", or_unknown(&groups.join(", "))),
            ]
        })
        .collect()
}

fn mounts_of(item: &DetailedInfoItem) -> &[MountPaths] {
    item.mount_info.as_ref().map_or(&[], |info| info.mount_paths.as_slice())
}

/// A mount's user and group mappings, `host:instance` each.
fn mappings(mount: &MountPaths) -> (Vec<String>, Vec<String>) {
    let written = |maps: &[IdMap]| {
        maps.iter()
            .map(|map| match map.instance_id {
                // The instance's own default user or group.
                -1 => format!("{}:default", map.host_id),
                id => format!("{}:{id}", map.host_id),
            })
            .collect()
    };
    match &mount.mount_maps {
        Some(maps) => (written(&maps.uid_mappings), written(&maps.gid_mappings)),
        None => (Vec::new(), Vec::new()),
    }
}
