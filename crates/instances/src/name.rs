//! Names of instances.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest name, in characters: it is the guest's host name (RFC 1035).
const LONGEST: usize = 63;

/// What an instance is called: letters, digits and hyphens, a letter first, no hyphen last. So it is a host
/// name, and the name of a directory on any system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName(String);

/// Text that cannot be the name of an instance.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "Invalid instance name supplied: \"{}\". It has 1 to {LONGEST} letters, digits or hyphens, begins with a letter, and ends with a letter or a digit",
    shown(.0)
)]
pub struct NotAnInstanceName(String);

impl InstanceName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceName {
    type Err = NotAnInstanceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() <= LONGEST
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && !text.ends_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAnInstanceName(text.to_owned())) }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody sent instead of what was wanted, fit for a terminal: escaped, and not too much of it.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 2 * LONGEST;
    let start: String = text.chars().take(MOST).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_name_that_begins_with_a_letter() {
        for text in ["a", "primary", "web-1", "A1", "a--b", "x1y2", &"x".repeat(63)] {
            assert_eq!(text.parse::<InstanceName>().unwrap().as_str(), text);
        }
        let bad =
            ["", "1a", "-a", "a-", "-", "a b", "a_b", "a.b", "..", "a/b", "é", "a\0", "a\n", &"x".repeat(64)];
        for text in bad {
            let error = text.parse::<InstanceName>().unwrap_err().to_string();
            assert!(error.contains("Invalid instance name supplied"), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_is_no_name_is_shown_escaped_and_cut() {
        let error = "a\u{1b}[2J\n".parse::<InstanceName>().unwrap_err().to_string();
        assert!(error.contains(r#""a\u{1b}[2J\n""#), "{error}");
        for (length, more) in [(126, ""), (127, "…"), (100_000, "…")] {
            let error = "x".repeat(length).parse::<InstanceName>().unwrap_err().to_string();
            let shown = format!("supplied: \"{}{more}\". ", "x".repeat(126));
            assert!(error.contains(&shown) && error.len() < 400, "{length}: {error}");
        }
    }
}
