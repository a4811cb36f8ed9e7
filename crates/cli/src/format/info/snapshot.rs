//! What `info` shows of a snapshot.

use rpc::detailed_info_item::ExtraInfo;
use rpc::{DetailedInfoItem, SnapshotDetails, SnapshotFundamentals};
use serde_json::{Value, json};

use super::mounts;
use super::push_or_unknown;
use crate::format::table::Labels;
use crate::format::values::{human_time, or_unknown, size, time};

/// Its columns in CSV.
pub(super) const COLUMNS: &[&str] = &[
    "Instance",
    "Snapshot",
    "Size",
    "CPU(s)",
    "Disk space",
    "Memory size",
    "Mounts",
    "Created",
    "Parent",
    "Children",
    "Comment",
];

/// Its entry in JSON and YAML.
pub(super) fn entry(item: &DetailedInfoItem) -> Value {
    let details = details_of(item);
    let fundamentals = fundamentals_of(item);
    json!({
        "size": details.size,
        "cpu_count": item.cpu_count,
        "disk_space": item.disk_total,
        "memory_size": item.memory_total,
        "mounts": mounts::entry(item),
        "created": time(fundamentals.creation_timestamp.as_ref()),
        "parent": fundamentals.parent,
        "children": details.children,
        "comment": fundamentals.comment,
    })
}

/// Its row in CSV.
pub(super) fn row(item: &DetailedInfoItem) -> Vec<String> {
    let details = details_of(item);
    let fundamentals = fundamentals_of(item);
    vec![
        item.name.clone(),
        fundamentals.snapshot_name,
        details.size,
        item.cpu_count.clone(),
        item.disk_total.clone(),
        item.memory_total.clone(),
        mounts::cell(item),
        time(fundamentals.creation_timestamp.as_ref()),
        fundamentals.parent,
        details.children.join(","),
        fundamentals.comment,
    ]
}

/// Its lines for people.
pub(super) fn labels(labels: &mut Labels, item: &DetailedInfoItem) {
    let details = details_of(item);
    let fundamentals = fundamentals_of(item);
    labels.push("Snapshot", &fundamentals.snapshot_name);
    labels.push("Instance", &item.name);
    labels.push("Size", or_unknown(&size(&details.size)));
    labels.push("CPU(s)", or_unknown(&item.cpu_count));
    labels.push("Disk space", or_unknown(&size(&item.disk_total)));
    labels.push("Memory size", or_unknown(&size(&item.memory_total)));
    push_or_unknown(labels, "Mounts", &mounts::lines(item));
    labels.push("Created", &human_time(fundamentals.creation_timestamp.as_ref()));
    labels.push("Parent", or_unknown(&fundamentals.parent));
    push_or_unknown(labels, "Children", &details.children);
    labels.push("Comment", or_unknown(&fundamentals.comment));
}

fn details_of(item: &DetailedInfoItem) -> SnapshotDetails {
    match &item.extra_info {
        Some(ExtraInfo::SnapshotInfo(details)) => details.clone(),
        _ => SnapshotDetails::default(),
    }
}

pub(super) fn fundamentals_of(item: &DetailedInfoItem) -> SnapshotFundamentals {
    details_of(item).fundamentals.unwrap_or_default()
}
