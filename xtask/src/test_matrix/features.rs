//! Sets of features: what the daemon and the client can be built with.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

use super::target::Target;

/// The transports, which are features of both programs.
const TRANSPORTS: [&str; 3] = ["unix", "tcp", "quic"];

/// A set of transports, never empty: bit by bit in the order of [`TRANSPORTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FeatureSet(u8);

impl FeatureSet {
    /// Every set, the one with everything last: what it builds is left for whoever runs the tests after it.
    pub(super) fn all() -> Vec<Self> {
        (1..1 << TRANSPORTS.len()).map(Self).collect()
    }

    /// Whether nothing is left out.
    pub(super) fn is_everything(self) -> bool {
        self.left_out().is_empty()
    }

    /// Whether it is the first of [`Self::all`].
    pub(super) fn is_first(self) -> bool {
        self.0 == 1
    }

    /// Whether it has more than one transport.
    pub(super) fn is_several(self) -> bool {
        self.0.count_ones() > 1
    }

    /// Whether one of them is to be had on a target: on Windows there are no Unix sockets.
    pub(super) fn has_a_transport(self, target: &Target) -> bool {
        !target.is_windows() || self.names() != ["unix"]
    }

    /// The names of those in it.
    pub(super) fn names(self) -> Vec<&'static str> {
        self.named(|is_in| is_in)
    }

    /// The names of those left out.
    pub(super) fn left_out(self) -> Vec<&'static str> {
        self.named(|is_in| !is_in)
    }

    fn named(self, which: impl Fn(bool) -> bool) -> Vec<&'static str> {
        let is_in = |bit: usize| self.0 & (1 << bit) != 0;
        TRANSPORTS.iter().enumerate().filter(|(bit, _)| which(is_in(*bit))).map(|(_, name)| *name).collect()
    }

    /// As cargo's argument to `--features`, for one of the programs' packages.
    pub(super) fn of_packages(self, packages: &[&str]) -> String {
        let names = self.names();
        let both =
            packages.iter().flat_map(|package| names.iter().map(move |name| format!("{package}/{name}")));
        both.collect::<Vec<_>>().join(",")
    }
}

impl FromStr for FeatureSet {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut set = 0;
        for name in text.split(',') {
            let Some(bit) = TRANSPORTS.iter().position(|known| *known == name) else {
                bail!("'{name}' is no transport; there are {}", TRANSPORTS.join(", "));
            };
            set |= 1 << bit;
        }
        Ok(Self(set))
    }
}

impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_each_set_once_and_everything_comes_last() {
        let all: Vec<String> = FeatureSet::all().iter().map(ToString::to_string).collect();
        assert_eq!(all, ["unix", "tcp", "unix,tcp", "quic", "unix,quic", "tcp,quic", "unix,tcp,quic"]);
        let first: Vec<bool> = FeatureSet::all().into_iter().map(FeatureSet::is_first).collect();
        assert_eq!(first, [true, false, false, false, false, false, false]);
        let several: Vec<bool> = FeatureSet::all().into_iter().map(FeatureSet::is_several).collect();
        assert_eq!(several, [false, false, true, false, true, true, true]);
    }

    #[test]
    fn a_set_is_read_and_shown() {
        let set: FeatureSet = "quic,unix".parse().unwrap();
        assert_eq!(set.names(), ["unix", "quic"]);
        assert_eq!(set.left_out(), ["tcp"]);
        assert_eq!(set.of_packages(&["cli", "daemon"]), "cli/unix,cli/quic,daemon/unix,daemon/quic");
        for wrong in ["", "unix,", "UNIX", "udp"] {
            assert!(wrong.parse::<FeatureSet>().is_err(), "{wrong}");
        }
    }
}
