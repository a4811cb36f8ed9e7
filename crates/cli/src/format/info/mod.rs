//! Output of `info`.

mod instance;
mod mounts;
mod snapshot;

use rpc::DetailedInfoItem;
use rpc::detailed_info_item::ExtraInfo;
use serde_json::{Map, Value, json};

use super::list::NO_INSTANCES;
use super::table::{LABELS, Labels};
use super::values::{NO_ERRORS, UNKNOWN};
use crate::args::Format;
use crate::error::Error;

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
            super::csv(snapshot::COLUMNS, snapshots.iter().map(|item| snapshot::row(item)))
        }
        Format::Csv => super::csv(instance::COLUMNS, instances.iter().map(|item| instance::row(item))),
    }
}

fn by_instance(instances: &[&DetailedInfoItem], snapshots: &[&DetailedInfoItem]) -> Map<String, Value> {
    let mut entries = Map::new();
    for item in instances {
        entries.insert(item.name.clone(), instance::entry(item));
    }
    for item in snapshots {
        let entry = entries.entry(item.name.as_str()).or_insert_with(|| json!({}));
        if let Value::Object(instance) = entry
            && let Value::Object(of_instance) = instance.entry("snapshots").or_insert_with(|| json!({}))
        {
            of_instance.insert(snapshot::fundamentals_of(item).snapshot_name, snapshot::entry(item));
        }
    }
    entries
}

fn table(instances: &[&DetailedInfoItem], snapshots: &[&DetailedInfoItem]) -> String {
    if instances.is_empty() && snapshots.is_empty() {
        return NO_INSTANCES.to_owned();
    }
    let mut labels = Labels::new(LABELS);
    for item in instances {
        labels.separate();
        instance::labels(&mut labels, item);
    }
    for item in snapshots {
        labels.separate();
        snapshot::labels(&mut labels, item);
    }
    labels.finish()
}

fn push_or_unknown(labels: &mut Labels, label: &str, values: &[String]) {
    if values.is_empty() { labels.push(label, UNKNOWN) } else { labels.push_all(label, values) }
}

#[cfg(test)]
mod tests;
