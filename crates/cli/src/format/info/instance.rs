//! What `info` shows of an instance.

use rpc::detailed_info_item::ExtraInfo;
use rpc::{DetailedInfoItem, InstanceDetails, Zone};
use serde_json::{Map, Value, json};

use super::mounts;
use super::push_or_unknown;
use crate::format::table::Labels;
use crate::format::values::{UNKNOWN, or_unknown, release, state, usage, zone, zone_columns};

/// How much of an image's hash people see.
const SHORT_HASH: usize = 12;

/// Its columns in CSV.
pub(super) const COLUMNS: &[&str] = &[
    "Name",
    "State",
    "Zone",
    "Zone available",
    "Ipv4",
    "Release",
    "Image hash",
    "Image release",
    "Load",
    "Disk usage",
    "Disk total",
    "Memory usage",
    "Memory total",
    "Mounts",
    "AllIPv4",
    "CPU(s)",
    "Snapshots",
];

/// Its entry in JSON and YAML.
pub(super) fn entry(item: &DetailedInfoItem) -> Value {
    let details = details_of(item);
    let mut disk = Map::new();
    let mut memory = Map::new();
    if !details.disk_usage.is_empty() {
        disk.insert("used".to_owned(), details.disk_usage.as_str().into());
    }
    if !item.disk_total.is_empty() {
        disk.insert("total".to_owned(), item.disk_total.as_str().into());
    }
    for (key, bytes) in [("used", &details.memory_usage), ("total", &item.memory_total)] {
        if let Ok(bytes) = bytes.parse::<u64>() {
            memory.insert(key.to_owned(), bytes.into());
        }
    }
    let load: Vec<f64> = details.load.split_whitespace().filter_map(|load| load.parse().ok()).collect();
    json!({
        "state": state(item.instance_status.as_ref()),
        "zone": zone(item.zone.as_ref()),
        "image_hash": details.id,
        "image_release": details.image_release,
        "release": release(&details.os, &details.current_release),
        "cpu_count": item.cpu_count,
        "snapshot_count": snapshot_count(&details),
        "load": load,
        "disks": { "sda1": disk },
        "memory": memory,
        "ipv4": details.ipv4,
        "mounts": mounts::entry(item),
    })
}

/// Its row in CSV.
pub(super) fn row(item: &DetailedInfoItem) -> Vec<String> {
    let details = details_of(item);
    let [zone, available] = zone_columns(item.zone.as_ref());
    vec![
        item.name.clone(),
        state(item.instance_status.as_ref()).to_owned(),
        zone,
        available,
        details.ipv4.first().cloned().unwrap_or_default(),
        release(&details.os, &details.current_release),
        details.id.clone(),
        details.image_release.clone(),
        details.load.clone(),
        details.disk_usage.clone(),
        item.disk_total.clone(),
        details.memory_usage.clone(),
        item.memory_total.clone(),
        mounts::cell(item),
        details.ipv4.join(","),
        item.cpu_count.clone(),
        snapshot_count(&details),
    ]
}

/// Its lines for people.
pub(super) fn labels(labels: &mut Labels, item: &DetailedInfoItem) {
    let details = details_of(item);
    labels.push("Name", &item.name);
    labels.push("State", state(item.instance_status.as_ref()));
    if let Some(zone) = &item.zone {
        labels.push("Zone", &zone_label(zone));
    }
    labels.push("Snapshots", &snapshot_count(&details));
    push_or_unknown(labels, "IPv4", &details.ipv4);
    labels.push("Release", or_unknown(&release(&details.os, &details.current_release)));
    labels.push("Image hash", &image(&details));
    labels.push("CPU(s)", or_unknown(&item.cpu_count));
    labels.push("Load", or_unknown(&details.load));
    labels.push("Disk usage", &usage(&details.disk_usage, &item.disk_total));
    labels.push("Memory usage", &usage(&details.memory_usage, &item.memory_total));
    push_or_unknown(labels, "Mounts", &mounts::lines(item));
}

fn zone_label(zone: &Zone) -> String {
    let unavailable = if zone.available { "" } else { " (unavailable)" };
    format!("{}{unavailable}", or_unknown(&zone.name))
}

/// The beginning of the image's hash, and what the image is.
fn image(details: &InstanceDetails) -> String {
    if details.id.is_empty() {
        return UNKNOWN.to_owned();
    }
    let hash: String = details.id.chars().take(SHORT_HASH).collect();
    match release(&details.os, &details.image_release) {
        known if known.is_empty() => hash,
        known => format!("{hash} ({known})"),
    }
}

fn snapshot_count(details: &InstanceDetails) -> String {
    details.num_snapshots.unwrap_or(0).to_string()
}

fn details_of(item: &DetailedInfoItem) -> InstanceDetails {
    match &item.extra_info {
        Some(ExtraInfo::InstanceInfo(details)) => details.clone(),
        _ => InstanceDetails::default(),
    }
}
