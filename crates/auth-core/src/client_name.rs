//! Names of clients, for people.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest name, in characters.
const LONGEST: usize = 64;

/// What people call a client: letters, digits, `.`, `_` and `-`. It identifies nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(String);

/// Text that cannot be a name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a client's name has 1 to {LONGEST} letters, digits, '.', '_' or '-'")]
pub struct NotAClientName;

impl FromStr for ClientName {
    type Err = NotAClientName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAClientName) }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_plain_word() {
        for text in ["a", "alice", "Alice.B_c-9", &"x".repeat(64)] {
            assert_eq!(text.parse::<ClientName>().map(|name| name.to_string()), Ok(text.to_owned()));
        }
        for text in ["", " ", "a b", "a=b", "a\n", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(text.parse::<ClientName>(), Err(NotAClientName), "{text:?}");
        }
    }
}
