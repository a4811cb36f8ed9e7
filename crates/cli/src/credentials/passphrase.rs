//! What makes a passphrase easy to guess. The service does not look: it never refuses one.

/// Shorter ones are guessed, in characters: the least that NIST SP 800-63B-4 allows beside another factor.
const SHORT: usize = 8;
/// Those that are long enough, and among the first that are tried.
const COMMON: [&str; 16] = [
    "12345678",
    "123456789",
    "1234567890",
    "11111111",
    "00000000",
    "password",
    "password1",
    "passw0rd",
    "passphrase",
    "qwertyui",
    "qwerty123",
    "1q2w3e4r",
    "iloveyou",
    "multipass",
    "changeme",
    "letmein1",
];

/// What makes `passphrase` easy to guess, if something does.
pub(crate) fn weakness(passphrase: &str) -> Option<&'static str> {
    if passphrase.chars().count() < SHORT {
        return Some("it is short");
    }
    COMMON
        .iter()
        .any(|common| passphrase.eq_ignore_ascii_case(common))
        .then_some("it is among the most common ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_at_once_is_weak() {
        for (passphrase, weak) in [
            ("", true),
            ("a b c d", true),
            ("w\u{f6}rter12", false),
            ("\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}", true),
            ("Password", true),
            ("12345678", true),
            ("tulips-in-june", false),
        ] {
            assert_eq!(weakness(passphrase).is_some(), weak, "{passphrase}");
        }
        assert!(COMMON.iter().all(|common| common.chars().count() >= SHORT), "short ones are weak anyway");
    }
}
