//! Output of `info`.

use rpc::detailed_info_item::ExtraInfo;
use rpc::mount_info::MountPaths;
use rpc::{DetailedInfoItem, IdMap, InstanceDetails, SnapshotDetails, SnapshotFundamentals, Zone};
use serde_json::{Map, Value, json};

use super::list::NO_INSTANCES;
use super::table::{Labels, WIDEST, padded};
use super::values::{
    NO_ERRORS, UNKNOWN, human_time, or_unknown, release, size, state, time, usage, zone, zone_columns,
};
use crate::args::Format;
use crate::error::Error;

/// How much of an image's hash people see.
const SHORT_HASH: usize = 12;

const INSTANCE_COLUMNS: &[&str] = &[
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
const SNAPSHOT_COLUMNS: &[&str] = &[
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

/// Whether an item of the answer is about a snapshot.
pub(crate) fn is_snapshot(item: &DetailedInfoItem) -> bool {
    matches!(item.extra_info, Some(ExtraInfo::SnapshotInfo(_)))
}

/// Instances, then snapshots, each in the order given. CSV shows the snapshots only if there are no instances.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn details(
    instances: &[&DetailedInfoItem],
    snapshots: &[&DetailedInfoItem],
    format: Format,
) -> Result<String, Error> {
    match format {
        Format::Table => Ok(table(instances, snapshots)),
        Format::Json => super::json(&json!({ "errors": [], "info": by_instance(instances, snapshots) })),
        Format::Yaml => {
            let entries: Map<_, _> = by_instance(instances, snapshots)
                .into_iter()
                .map(|(name, description)| (name, json!([description])))
                .collect();
            Ok(if entries.is_empty() {
                NO_ERRORS.to_owned()
            } else {
                NO_ERRORS.to_owned() + &super::yaml(entries)?
            })
        }
        Format::Csv if instances.is_empty() && !snapshots.is_empty() => {
            super::csv(SNAPSHOT_COLUMNS, snapshots.iter().map(|item| snapshot_row(item)))
        }
        Format::Csv => super::csv(INSTANCE_COLUMNS, instances.iter().map(|item| instance_row(item))),
    }
}

fn by_instance(instances: &[&DetailedInfoItem], snapshots: &[&DetailedInfoItem]) -> Map<String, Value> {
    let mut entries = Map::new();
    for item in instances {
        entries.insert(item.name.clone(), instance_entry(item));
    }
    for item in snapshots {
        let entry = entries.entry(item.name.as_str()).or_insert_with(|| json!({}));
        if let Value::Object(instance) = entry
            && let Value::Object(of_instance) = instance.entry("snapshots").or_insert_with(|| json!({}))
        {
            of_instance.insert(fundamentals_of(item).snapshot_name, snapshot_entry(item));
        }
    }
    entries
}

fn instance_entry(item: &DetailedInfoItem) -> Value {
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
        "mounts": mounts_entry(item),
    })
}

fn snapshot_entry(item: &DetailedInfoItem) -> Value {
    let details = snapshot_of(item);
    let fundamentals = fundamentals_of(item);
    json!({
        "size": details.size,
        "cpu_count": item.cpu_count,
        "disk_space": item.disk_total,
        "memory_size": item.memory_total,
        "mounts": mounts_entry(item),
        "created": time(fundamentals.creation_timestamp.as_ref()),
        "parent": fundamentals.parent,
        "children": details.children,
        "comment": fundamentals.comment,
    })
}

fn mounts_entry(item: &DetailedInfoItem) -> Map<String, Value> {
    mounts(item)
        .iter()
        .map(|mount| {
            let (users, groups) = mappings(mount);
            let description =
                json!({ "source_path": mount.source_path, "uid_mappings": users, "gid_mappings": groups });
            (mount.target_path.clone(), description)
        })
        .collect()
}

fn instance_row(item: &DetailedInfoItem) -> Vec<String> {
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
        mounts_cell(item),
        details.ipv4.join(","),
        item.cpu_count.clone(),
        snapshot_count(&details),
    ]
}

fn snapshot_row(item: &DetailedInfoItem) -> Vec<String> {
    let details = snapshot_of(item);
    let fundamentals = fundamentals_of(item);
    vec![
        item.name.clone(),
        fundamentals.snapshot_name,
        details.size,
        item.cpu_count.clone(),
        item.disk_total.clone(),
        item.memory_total.clone(),
        mounts_cell(item),
        time(fundamentals.creation_timestamp.as_ref()),
        fundamentals.parent,
        details.children.join(","),
        fundamentals.comment,
    ]
}

fn mounts_cell(item: &DetailedInfoItem) -> String {
    let mounts = mounts(item).iter().map(|mount| format!("{} => {}", mount.source_path, mount.target_path));
    mounts.collect::<Vec<_>>().join(";")
}

fn table(instances: &[&DetailedInfoItem], snapshots: &[&DetailedInfoItem]) -> String {
    if instances.is_empty() && snapshots.is_empty() {
        return NO_INSTANCES.to_owned();
    }
    let mut labels = Labels::default();
    for item in instances {
        labels.separate();
        instance_labels(&mut labels, item);
    }
    for item in snapshots {
        labels.separate();
        snapshot_labels(&mut labels, item);
    }
    labels.finish()
}

fn instance_labels(labels: &mut Labels, item: &DetailedInfoItem) {
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
    push_or_unknown(labels, "Mounts", &mount_lines(item));
}

fn snapshot_labels(labels: &mut Labels, item: &DetailedInfoItem) {
    let details = snapshot_of(item);
    let fundamentals = fundamentals_of(item);
    labels.push("Snapshot", &fundamentals.snapshot_name);
    labels.push("Instance", &item.name);
    labels.push("Size", or_unknown(&size(&details.size)));
    labels.push("CPU(s)", or_unknown(&item.cpu_count));
    labels.push("Disk space", or_unknown(&size(&item.disk_total)));
    labels.push("Memory size", or_unknown(&size(&item.memory_total)));
    push_or_unknown(labels, "Mounts", &mount_lines(item));
    labels.push("Created", &human_time(fundamentals.creation_timestamp.as_ref()));
    labels.push("Parent", or_unknown(&fundamentals.parent));
    push_or_unknown(labels, "Children", &details.children);
    labels.push("Comment", or_unknown(&fundamentals.comment));
}

fn push_or_unknown(labels: &mut Labels, label: &str, values: &[String]) {
    if values.is_empty() { labels.push(label, UNKNOWN) } else { labels.push_all(label, values) }
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

fn mount_lines(item: &DetailedInfoItem) -> Vec<String> {
    let mounts = mounts(item);
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

fn mounts(item: &DetailedInfoItem) -> &[MountPaths] {
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

fn snapshot_count(details: &InstanceDetails) -> String {
    details.num_snapshots.unwrap_or(0).to_string()
}

fn details_of(item: &DetailedInfoItem) -> InstanceDetails {
    match &item.extra_info {
        Some(ExtraInfo::InstanceInfo(details)) => details.clone(),
        _ => InstanceDetails::default(),
    }
}

fn snapshot_of(item: &DetailedInfoItem) -> SnapshotDetails {
    match &item.extra_info {
        Some(ExtraInfo::SnapshotInfo(details)) => details.clone(),
        _ => SnapshotDetails::default(),
    }
}

fn fundamentals_of(item: &DetailedInfoItem) -> SnapshotFundamentals {
    snapshot_of(item).fundamentals.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use rpc::instance_status::Status;
    use rpc::{InstanceStatus, MountInfo, MountMaps};

    use super::*;

    fn running() -> DetailedInfoItem {
        DetailedInfoItem {
            name: "foo".into(),
            instance_status: Some(InstanceStatus { status: Status::Running.into() }),
            memory_total: "1032871936".into(),
            disk_total: "5368709120".into(),
            cpu_count: "1".into(),
            mount_info: Some(MountInfo {
                longest_path_len: 7,
                mount_paths: vec![MountPaths {
                    source_path: "/home/a".into(),
                    target_path: "/mnt/b c".into(),
                    mount_maps: Some(MountMaps {
                        uid_mappings: vec![IdMap { host_id: 1000, instance_id: -1 }],
                        gid_mappings: vec![IdMap { host_id: 1000, instance_id: 100 }],
                    }),
                }],
            }),
            extra_info: Some(ExtraInfo::InstanceInfo(InstanceDetails {
                image_release: "24.04 LTS".into(),
                current_release: "24.04.1 LTS".into(),
                id: "0123456789abcdef".into(),
                load: "0.25 0.10 1.00".into(),
                memory_usage: "178257920".into(),
                disk_usage: "1610612736".into(),
                ipv4: vec!["10.0.0.2".into(), "10.1.0.2".into()],
                num_snapshots: Some(2),
                os: "Ubuntu".into(),
                ..InstanceDetails::default()
            })),
            zone: Some(Zone { name: "zone1".into(), available: false, subnet: String::new() }),
        }
    }

    fn stopped() -> DetailedInfoItem {
        DetailedInfoItem {
            name: "bar".into(),
            instance_status: Some(InstanceStatus { status: Status::Stopped.into() }),
            extra_info: Some(ExtraInfo::InstanceInfo(InstanceDetails::default())),
            ..DetailedInfoItem::default()
        }
    }

    fn snapshot() -> DetailedInfoItem {
        DetailedInfoItem {
            name: "bar".into(),
            memory_total: "1073741824".into(),
            disk_total: "5368709120".into(),
            cpu_count: "2".into(),
            extra_info: Some(ExtraInfo::SnapshotInfo(SnapshotDetails {
                fundamentals: Some(SnapshotFundamentals {
                    snapshot_name: "s1".into(),
                    parent: "s0".into(),
                    comment: "a comment".into(),
                    creation_timestamp: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
                }),
                size: "134217728".into(),
                children: vec!["s2".into(), "s3".into()],
            })),
            ..DetailedInfoItem::default()
        }
    }

    fn check(instances: &[DetailedInfoItem], snapshots: &[DetailedInfoItem], expected: [(Format, &str); 4]) {
        let instances: Vec<_> = instances.iter().collect();
        let snapshots: Vec<_> = snapshots.iter().collect();
        for (format, expected) in expected {
            assert_eq!(details(&instances, &snapshots, format).expect("text"), expected);
        }
    }

    #[test]
    fn nothing() {
        let csv = "Name,State,Zone,Zone available,Ipv4,Release,Image hash,Image release,Load,Disk usage,\
                   Disk total,Memory usage,Memory total,Mounts,AllIPv4,CPU(s),Snapshots\n";
        check(
            &[],
            &[],
            [
                (Format::Table, "No instances found.\n"),
                (Format::Json, "{\n    \"errors\": [],\n    \"info\": {}\n}\n"),
                (Format::Csv, csv),
                (Format::Yaml, "errors:\n  - ~\n"),
            ],
        );
    }

    #[test]
    fn a_running_and_a_stopped_instance() {
        let table = "\
Name:           foo
State:          Running
Zone:           zone1 (unavailable)
Snapshots:      2
IPv4:           10.0.0.2
                10.1.0.2
Release:        Ubuntu 24.04.1 LTS
Image hash:     0123456789ab (Ubuntu 24.04 LTS)
CPU(s):         1
Load:           0.25 0.10 1.00
Disk usage:     1.5GiB out of 5.0GiB
Memory usage:   170.0MiB out of 985.0MiB
Mounts:         /home/a => /mnt/b c
                    UID map: 1000:default
                    GID map: 1000:100

Name:           bar
State:          Stopped
Snapshots:      0
IPv4:           --
Release:        --
Image hash:     --
CPU(s):         --
Load:           --
Disk usage:     --
Memory usage:   --
Mounts:         --
";
        let json = r#"{
    "errors": [],
    "info": {
        "foo": {
            "state": "Running",
            "zone": {
                "name": "zone1",
                "available": false
            },
            "image_hash": "0123456789abcdef",
            "image_release": "24.04 LTS",
            "release": "Ubuntu 24.04.1 LTS",
            "cpu_count": "1",
            "snapshot_count": "2",
            "load": [
                0.25,
                0.1,
                1.0
            ],
            "disks": {
                "sda1": {
                    "used": "1610612736",
                    "total": "5368709120"
                }
            },
            "memory": {
                "used": 178257920,
                "total": 1032871936
            },
            "ipv4": [
                "10.0.0.2",
                "10.1.0.2"
            ],
            "mounts": {
                "/mnt/b c": {
                    "source_path": "/home/a",
                    "uid_mappings": [
                        "1000:default"
                    ],
                    "gid_mappings": [
                        "1000:100"
                    ]
                }
            }
        },
        "bar": {
            "state": "Stopped",
            "zone": {
                "name": "",
                "available": false
            },
            "image_hash": "",
            "image_release": "",
            "release": "",
            "cpu_count": "",
            "snapshot_count": "0",
            "load": [],
            "disks": {
                "sda1": {}
            },
            "memory": {},
            "ipv4": [],
            "mounts": {}
        }
    }
}
"#;
        let csv = "\
Name,State,Zone,Zone available,Ipv4,Release,Image hash,Image release,Load,Disk usage,Disk total,Memory usage,\
Memory total,Mounts,AllIPv4,CPU(s),Snapshots
foo,Running,zone1,false,10.0.0.2,Ubuntu 24.04.1 LTS,0123456789abcdef,24.04 LTS,0.25 0.10 1.00,1610612736,\
5368709120,178257920,1032871936,/home/a => /mnt/b c,\"10.0.0.2,10.1.0.2\",1,2
bar,Stopped,,,,,,,,,,,,,,,0
";
        let yaml = r#"errors:
  - ~
foo:
  - state: Running
    zone:
      name: zone1
      available: false
    image_hash: 0123456789abcdef
    image_release: 24.04 LTS
    release: Ubuntu 24.04.1 LTS
    cpu_count: "1"
    snapshot_count: "2"
    load:
      - 0.25
      - 0.1
      - 1.0
    disks:
      sda1:
        used: "1610612736"
        total: "5368709120"
    memory:
      used: 178257920
      total: 1032871936
    ipv4:
      - "10.0.0.2"
      - "10.1.0.2"
    mounts:
      /mnt/b c:
        source_path: /home/a
        uid_mappings:
          - 1000:default
        gid_mappings:
          - 1000:100
bar:
  - state: Stopped
    zone:
      name: ""
      available: false
    image_hash: ""
    image_release: ""
    release: ""
    cpu_count: ""
    snapshot_count: "0"
    load: []
    disks:
      sda1: {}
    memory: {}
    ipv4: []
    mounts: {}
"#;
        check(
            &[running(), stopped()],
            &[],
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)],
        );
    }

    #[test]
    fn a_snapshot() {
        let table = "\
Snapshot:       s1
Instance:       bar
Size:           128.0MiB
CPU(s):         2
Disk space:     5.0GiB
Memory size:    1.0GiB
Mounts:         --
Created:        2023-11-14 22:13:20 UTC
Parent:         s0
Children:       s2
                s3
Comment:        a comment
";
        let json = r#"{
    "errors": [],
    "info": {
        "bar": {
            "snapshots": {
                "s1": {
                    "size": "134217728",
                    "cpu_count": "2",
                    "disk_space": "5368709120",
                    "memory_size": "1073741824",
                    "mounts": {},
                    "created": "2023-11-14T22:13:20Z",
                    "parent": "s0",
                    "children": [
                        "s2",
                        "s3"
                    ],
                    "comment": "a comment"
                }
            }
        }
    }
}
"#;
        let csv = "\
Instance,Snapshot,Size,CPU(s),Disk space,Memory size,Mounts,Created,Parent,Children,Comment
bar,s1,134217728,2,5368709120,1073741824,,2023-11-14T22:13:20Z,s0,\"s2,s3\",a comment
";
        let yaml = r#"errors:
  - ~
bar:
  - snapshots:
      s1:
        size: "134217728"
        cpu_count: "2"
        disk_space: "5368709120"
        memory_size: "1073741824"
        mounts: {}
        created: "2023-11-14T22:13:20Z"
        parent: s0
        children:
          - s2
          - s3
        comment: a comment
"#;
        check(
            &[],
            &[snapshot()],
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)],
        );
    }

    #[test]
    fn an_instance_keeps_its_own_entry_beside_its_snapshots() {
        let (stopped, snapshot) = (stopped(), snapshot());
        let entries = by_instance(&[&stopped], &[&snapshot]);
        assert_eq!(entries["bar"]["state"], "Stopped");
        assert_eq!(entries["bar"]["snapshots"]["s1"]["parent"], "s0");
    }

    #[test]
    fn an_endless_path_makes_no_other_mount_as_long() {
        let long = "x".repeat(70_000);
        let mount = |path: &str| MountPaths {
            source_path: path.to_owned(),
            target_path: "/mnt".into(),
            ..Default::default()
        };
        let mount_paths = vec![mount("/a"), mount(&long)];
        let item = DetailedInfoItem {
            mount_info: Some(MountInfo { mount_paths, ..Default::default() }),
            ..Default::default()
        };
        let lines = mount_lines(&item);
        let paths: Vec<&String> = lines.iter().filter(|line| line.contains("=>")).collect();
        let short = format!("/a{} => /mnt", " ".repeat(WIDEST - 2));
        assert!(
            paths == [&short, &format!("{long} => /mnt")],
            "{} and {} bytes",
            paths[0].len(),
            paths[1].len()
        );
    }
}
