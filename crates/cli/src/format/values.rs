//! Single values as people and scripts read them.

use std::time::{Duration, UNIX_EPOCH};

use prost_types::Timestamp;
use rpc::instance_status::Status;
use rpc::{InstanceStatus, Zone};
use serde_json::{Value, json};

/// Stands in tables for what is not known.
pub(super) const UNKNOWN: &str = "--";

/// Begins YAML that has a place for errors. The null is written `~` here, where the serializer would write `null`.
pub(super) const NO_ERRORS: &str = "errors:\n  - ~\n";

/// An instance's state.
pub(super) fn state(status: Option<&InstanceStatus>) -> &'static str {
    match status.map_or(Status::Unknown, InstanceStatus::status) {
        Status::Unknown => "Unknown",
        Status::Running => "Running",
        Status::Starting => "Starting",
        Status::Restarting => "Restarting",
        Status::Stopped => "Stopped",
        Status::Deleted => "Deleted",
        Status::DelayedShutdown => "Delayed Shutdown",
        Status::Suspending => "Suspending",
        Status::Suspended => "Suspended",
        Status::Unavailable => "Unavailable",
    }
}

/// The operating system of an instance; empty when it is not known.
pub(super) fn release(os: &str, release: &str) -> String {
    match (os, release) {
        (_, "") => String::new(),
        ("", release) => release.to_owned(),
        (os, release) => format!("{os} {release}"),
    }
}

/// A zone for JSON and YAML.
pub(super) fn zone(zone: Option<&Zone>) -> Value {
    match zone {
        Some(zone) => json!({ "name": zone.name, "available": zone.available }),
        None => json!({ "name": "", "available": false }),
    }
}

/// A zone's two columns in CSV.
pub(super) fn zone_columns(zone: Option<&Zone>) -> [String; 2] {
    match zone {
        Some(zone) => [zone.name.clone(), zone.available.to_string()],
        None => [String::new(), String::new()],
    }
}

/// `text`, or the sign for what is not known.
pub(super) fn or_unknown(text: &str) -> &str {
    if text.is_empty() { UNKNOWN } else { text }
}

/// A number of bytes for people; a text that is no number stays as it is.
pub(super) fn size(text: &str) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    let Ok(bytes) = text.parse::<u64>() else {
        return text.to_owned();
    };
    // In tenths and integers: 64-bit sizes lose nothing, and 1023.95 KiB rounds up to 1.0 MiB.
    let tenths = |unit: u64| u128::from(bytes) * 10 + u128::from(unit) / 2;
    let mut unit = 1024_u64;
    for (index, name) in UNITS.iter().enumerate() {
        if index == 0 && bytes < unit {
            return format!("{bytes}B");
        }
        let rounded = tenths(unit) / u128::from(unit);
        if rounded < 10_240 || index == UNITS.len() - 1 {
            return format!("{}.{}{name}", rounded / 10, rounded % 10);
        }
        unit *= 1024;
    }
    format!("{bytes}B")
}

/// `used` out of `total` for people, as far as known.
pub(super) fn usage(used: &str, total: &str) -> String {
    match (used, total) {
        ("", _) => UNKNOWN.to_owned(),
        (used, "") => size(used),
        (used, total) => format!("{} out of {}", size(used), size(total)),
    }
}

/// A moment in UTC, to the second, in RFC 3339's form; empty when it is not known or not in the years 1970
/// to 9999.
pub(super) fn time(timestamp: Option<&Timestamp>) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    timestamp
        .and_then(|timestamp| u64::try_from(timestamp.seconds).ok())
        .filter(|seconds| *seconds < YEAR_10000)
        .map(|seconds| {
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
        })
        .unwrap_or_default()
}

/// As [`time`], for people.
pub(super) fn human_time(timestamp: Option<&Timestamp>) -> String {
    let text = time(timestamp).replace('T', " ").replace('Z', " UTC");
    or_unknown(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, expected) in [
            ("0", "0B"),
            ("1023", "1023B"),
            ("1024", "1.0KiB"),
            ("1536", "1.5KiB"),
            ("1048575", "1.0MiB"),
            ("1048576", "1.0MiB"),
            ("135266304", "129.0MiB"),
            ("1073741824", "1.0GiB"),
            ("5368709120", "5.0GiB"),
            ("1181116006", "1.1GiB"),
            ("1649267441664", "1536.0GiB"),
            ("18446744073709551615", "17179869184.0GiB"),
            ("", ""),
            ("5G", "5G"),
            ("-1", "-1"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn moments() {
        for (seconds, plain, human) in [
            (0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00 UTC"),
            (1_700_000_000, "2023-11-14T22:13:20Z", "2023-11-14 22:13:20 UTC"),
            (-1, "", "--"),
            (253_402_300_799, "9999-12-31T23:59:59Z", "9999-12-31 23:59:59 UTC"),
            (253_402_300_800, "", "--"),
            (i64::MAX, "", "--"),
        ] {
            let timestamp = Timestamp { seconds, nanos: -5 };
            assert_eq!(time(Some(&timestamp)), plain);
            assert_eq!(human_time(Some(&timestamp)), human);
        }
        assert_eq!(human_time(None), "--");
    }

    #[test]
    fn releases() {
        for (os, version, expected) in
            [("Ubuntu", "24.04 LTS", "Ubuntu 24.04 LTS"), ("", "24.04 LTS", "24.04 LTS"), ("Ubuntu", "", "")]
        {
            assert_eq!(release(os, version), expected);
        }
    }

    #[test]
    fn a_state_of_a_newer_service_is_unknown() {
        assert_eq!(state(Some(&InstanceStatus { status: 99 })), "Unknown");
        assert_eq!(state(None), "Unknown");
    }
}
