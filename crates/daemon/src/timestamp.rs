//! Moments as they are written in files and on the wire: RFC 3339, in UTC. What it has no name for becomes the nearest
//! that it has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that RFC 3339 has a name for, since 1970.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// With seconds.
pub(crate) fn rfc3339_seconds(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(within_range(at)).to_string()
}

/// With microseconds.
pub(crate) fn rfc3339_micros(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(within_range(at)).to_string()
}

fn within_range(at: SystemTime) -> SystemTime {
    at.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_is_written_and_those_out_of_range_as_the_nearest() {
        let second = Duration::from_secs(1);
        for (at, seconds, micros) in [
            (UNIX_EPOCH, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
            (UNIX_EPOCH - second, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
            (UNIX_EPOCH + second.mul_f64(1.5), "1970-01-01T00:00:01Z", "1970-01-01T00:00:01.500000Z"),
            (UNIX_EPOCH + LAST_SECOND + second, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!((rfc3339_seconds(at).as_str(), rfc3339_micros(at).as_str()), (seconds, micros));
        }
    }
}
