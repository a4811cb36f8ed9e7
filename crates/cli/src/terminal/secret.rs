//! A secret that was typed, piped in or written on the command line: a passphrase, a token, the value of a setting.

use std::fmt;

use zeroize::Zeroizing;

/// A secret; wiped from memory when dropped, and never shown.
#[derive(PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret in `text`.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether it is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A copy for a request, which wipes its own.
    pub(crate) fn for_request(&self) -> String {
        self.expose().to_owned()
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrases_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", Secret::new("s3cret".to_owned())).contains("s3cret"));
    }
}
