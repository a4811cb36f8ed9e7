//! Output of `list`.

use rpc::{ListVmInstance, ListVmSnapshot, SnapshotFundamentals};
use serde_json::{Map, Value, json};

use super::table::Table;
use super::values::{UNKNOWN, or_unknown, release, state, zone, zone_columns};
use crate::args::Format;
use crate::error::Error;

/// Said instead of a table when there are no instances.
pub(crate) const NO_INSTANCES: &str = "No instances found.\n";
/// Said instead of a table when there are no snapshots.
pub(crate) const NO_SNAPSHOTS: &str = "No snapshots found.\n";

const NO_RELEASE: &str = "Not Available";

/// Instances, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn instances(instances: &[ListVmInstance], format: Format) -> Result<String, Error> {
    match format {
        Format::Table => Ok(instance_table(instances)),
        Format::Json => super::json(&json!({
            "list": instances.iter().map(|instance| {
                let mut entry = Map::from_iter([("name".to_owned(), instance.name.as_str().into())]);
                entry.append(&mut instance_entry(instance));
                entry
            }).collect::<Vec<_>>()
        })),
        Format::Yaml => super::yaml(
            instances
                .iter()
                .map(|instance| (instance.name.clone(), json!([instance_entry(instance)])))
                .collect(),
        ),
        Format::Csv => super::csv(
            &["Name", "State", "IPv4", "Release", "AllIPv4", "Zone", "Zone available"],
            instances.iter().map(|instance| {
                let [zone, available] = zone_columns(instance.zone.as_ref());
                vec![
                    instance.name.clone(),
                    state(instance.instance_status.as_ref()).to_owned(),
                    instance.ipv4.first().cloned().unwrap_or_default(),
                    release_of(instance),
                    instance.ipv4.join(","),
                    zone,
                    available,
                ]
            }),
        ),
    }
}

fn instance_table(instances: &[ListVmInstance]) -> String {
    if instances.is_empty() {
        return NO_INSTANCES.to_owned();
    }
    let zoned = instances.iter().any(|instance| instance.zone.is_some());
    let mut columns = vec![("Name", 24), ("State", 18), ("IPv4", 17), ("Image", 0)];
    if zoned {
        columns.push(("Zone", 0));
    }
    let mut table = Table::new(&columns);
    for instance in instances {
        let zone = instance.zone.as_ref().map_or(UNKNOWN, |zone| or_unknown(&zone.name));
        let address = instance.ipv4.first().map_or(UNKNOWN, String::as_str);
        let state = state(instance.instance_status.as_ref());
        table.push([&instance.name, state, address, &release_of(instance), zone]);
        for address in instance.ipv4.iter().skip(1) {
            table.push(["", "", address, "", ""]);
        }
    }
    table.finish()
}

fn instance_entry(instance: &ListVmInstance) -> Map<String, Value> {
    Map::from_iter([
        ("state".to_owned(), state(instance.instance_status.as_ref()).into()),
        ("ipv4".to_owned(), instance.ipv4.clone().into()),
        ("release".to_owned(), release_of(instance).into()),
        ("zone".to_owned(), zone(instance.zone.as_ref())),
    ])
}

fn release_of(instance: &ListVmInstance) -> String {
    let known = release(&instance.os, &instance.current_release);
    if known.is_empty() { NO_RELEASE.to_owned() } else { known }
}

/// Snapshots, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn snapshots(snapshots: &[ListVmSnapshot], format: Format) -> Result<String, Error> {
    let rows = snapshots.iter().filter_map(|snapshot| {
        snapshot.fundamentals.as_ref().map(|fundamentals| (snapshot.name.as_str(), fundamentals))
    });
    match format {
        Format::Table => Ok(snapshot_table(rows)),
        Format::Json => super::json(&json!({ "errors": [], "info": by_instance(rows) })),
        Format::Yaml => super::yaml(
            by_instance(rows).into_iter().map(|(name, snapshots)| (name, json!([snapshots]))).collect(),
        ),
        Format::Csv => super::csv(
            &["Instance", "Snapshot", "Parent", "Comment"],
            rows.map(|(instance, snapshot)| {
                [instance, &snapshot.snapshot_name, &snapshot.parent, &snapshot.comment]
                    .map(str::to_owned)
                    .into()
            }),
        ),
    }
}

fn by_instance<'a>(rows: impl Iterator<Item = (&'a str, &'a SnapshotFundamentals)>) -> Map<String, Value> {
    let mut instances = Map::new();
    for (instance, snapshot) in rows {
        let entry = instances.entry(instance).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(snapshots) = entry {
            let description = json!({ "parent": snapshot.parent, "comment": snapshot.comment });
            snapshots.insert(snapshot.snapshot_name.clone(), description);
        }
    }
    instances
}

fn snapshot_table<'a>(rows: impl Iterator<Item = (&'a str, &'a SnapshotFundamentals)>) -> String {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return NO_SNAPSHOTS.to_owned();
    }
    let mut table = Table::new(&[("Instance", 0), ("Snapshot", 0), ("Parent", 0), ("Comment", 0)]);
    for (instance, snapshot) in rows {
        let parent = or_unknown(&snapshot.parent);
        table.push([instance, &snapshot.snapshot_name, parent, or_unknown(&snapshot.comment)]);
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use rpc::instance_status::Status;
    use rpc::{InstanceStatus, Zone};

    use super::*;

    fn status(status: Status) -> Option<InstanceStatus> {
        Some(InstanceStatus { status: status.into() })
    }

    fn some_instances() -> Vec<ListVmInstance> {
        vec![
            ListVmInstance {
                name: "foo".into(),
                instance_status: status(Status::Running),
                ipv4: vec!["10.0.0.2".into(), "10.1.0.2".into()],
                current_release: "24.04 LTS".into(),
                os: "Ubuntu".into(),
                zone: Some(Zone { name: "zone1".into(), available: true, subnet: String::new() }),
            },
            ListVmInstance {
                name: "bar".into(),
                instance_status: status(Status::Deleted),
                ..ListVmInstance::default()
            },
        ]
    }

    fn some_snapshots() -> Vec<ListVmSnapshot> {
        let snapshot = |instance: &str, name: &str, parent: &str, comment: &str| ListVmSnapshot {
            name: instance.into(),
            fundamentals: Some(SnapshotFundamentals {
                snapshot_name: name.into(),
                parent: parent.into(),
                comment: comment.into(),
                creation_timestamp: None,
            }),
        };
        vec![
            snapshot("foo", "snapshot1", "", "before, \"it\" broke"),
            snapshot("foo", "snapshot2", "snapshot1", ""),
            snapshot("bar", "s1", "", ""),
        ]
    }

    #[test]
    fn no_instances() {
        for (format, expected) in [
            (Format::Table, "No instances found.\n"),
            (Format::Json, "{\n    \"list\": []\n}\n"),
            (Format::Csv, "Name,State,IPv4,Release,AllIPv4,Zone,Zone available\n"),
            (Format::Yaml, "{}\n"),
        ] {
            assert_eq!(instances(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn two_instances() {
        let found = some_instances();
        let table = "\
Name                    State             IPv4             Image             Zone
foo                     Running           10.0.0.2         Ubuntu 24.04 LTS  zone1
                                          10.1.0.2
bar                     Deleted           --               Not Available     --
";
        let json = r#"{
    "list": [
        {
            "name": "foo",
            "state": "Running",
            "ipv4": [
                "10.0.0.2",
                "10.1.0.2"
            ],
            "release": "Ubuntu 24.04 LTS",
            "zone": {
                "name": "zone1",
                "available": true
            }
        },
        {
            "name": "bar",
            "state": "Deleted",
            "ipv4": [],
            "release": "Not Available",
            "zone": {
                "name": "",
                "available": false
            }
        }
    ]
}
"#;
        let csv = "\
Name,State,IPv4,Release,AllIPv4,Zone,Zone available
foo,Running,10.0.0.2,Ubuntu 24.04 LTS,\"10.0.0.2,10.1.0.2\",zone1,true
bar,Deleted,,Not Available,,,
";
        let yaml = "\
foo:
  - state: Running
    ipv4:
      - \"10.0.0.2\"
      - \"10.1.0.2\"
    release: Ubuntu 24.04 LTS
    zone:
      name: zone1
      available: true
bar:
  - state: Deleted
    ipv4: []
    release: Not Available
    zone:
      name: \"\"
      available: false
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(instances(&found, format).expect("text"), expected);
        }
    }

    #[test]
    fn the_zone_has_a_column_only_if_there_are_zones() {
        let found: Vec<_> = some_instances().into_iter().skip(1).collect();
        let expected = "\
Name                    State             IPv4             Image
bar                     Deleted           --               Not Available
";
        assert_eq!(instances(&found, Format::Table).expect("text"), expected);
    }

    #[test]
    fn no_snapshots() {
        for (format, expected) in [
            (Format::Table, "No snapshots found.\n"),
            (Format::Json, "{\n    \"errors\": [],\n    \"info\": {}\n}\n"),
            (Format::Csv, "Instance,Snapshot,Parent,Comment\n"),
            (Format::Yaml, "{}\n"),
        ] {
            assert_eq!(snapshots(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn three_snapshots() {
        let found = some_snapshots();
        let table = "\
Instance  Snapshot   Parent     Comment
foo       snapshot1  --         before, \"it\" broke
foo       snapshot2  snapshot1  --
bar       s1         --         --
";
        let json = r#"{
    "errors": [],
    "info": {
        "foo": {
            "snapshot1": {
                "parent": "",
                "comment": "before, \"it\" broke"
            },
            "snapshot2": {
                "parent": "snapshot1",
                "comment": ""
            }
        },
        "bar": {
            "s1": {
                "parent": "",
                "comment": ""
            }
        }
    }
}
"#;
        let csv = "\
Instance,Snapshot,Parent,Comment
foo,snapshot1,,\"before, \"\"it\"\" broke\"
foo,snapshot2,snapshot1,
bar,s1,,
";
        let yaml = "\
foo:
  - snapshot1:
      parent: \"\"
      comment: before, \"it\" broke
    snapshot2:
      parent: snapshot1
      comment: \"\"
bar:
  - s1:
      parent: \"\"
      comment: \"\"
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(snapshots(&found, format).expect("text"), expected);
        }
    }
}
