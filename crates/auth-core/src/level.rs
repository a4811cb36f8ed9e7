//! How much a trusted client may do.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How much a trusted client may do; a higher one may do all that a lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// See what there is, and change nothing.
    ReadOnly,
    /// Everything, who is trusted included.
    Full,
}

impl Level {
    /// All levels, the lowest first.
    pub const ALL: [Self; 2] = [Self::ReadOnly, Self::Full];

    /// Its name for people and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no level.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a client's level is 'full' or 'read-only'")]
pub struct NotALevel;

/// Takes it as it is displayed.
impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.name() == text).ok_or(NotALevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_taken_as_it_is_displayed_and_as_nothing_else() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        for text in ["", "Full", "full ", "readonly", "admin"] {
            assert_eq!(text.parse::<Level>(), Err(NotALevel), "{text:?}");
        }
        assert!(Level::ReadOnly < Level::Full);
    }
}
