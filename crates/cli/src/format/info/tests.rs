//! Instances and snapshots in each form.

use prost_types::Timestamp;
use rpc::instance_status::Status;
use rpc::mount_info::MountPaths;
use rpc::{
    IdMap, InstanceDetails, InstanceStatus, MountInfo, MountMaps, SnapshotDetails, SnapshotFundamentals, Zone,
};

use super::*;
use crate::format::table::WIDEST;

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
    let lines = mounts::lines(&item);
    let paths: Vec<&String> = lines.iter().filter(|line| line.contains("=>")).collect();
    let short = format!("/a{} => /mnt", " ".repeat(WIDEST - 2));
    assert!(paths == [&short, &format!("{long} => /mnt")], "{} and {} bytes", paths[0].len(), paths[1].len());
}
