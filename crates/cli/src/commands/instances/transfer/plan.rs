//! What is to be copied where, as the user wrote it.

use std::ffi::OsStr;
use std::path::{PathBuf, is_separator};

use crate::error::Error;
use crate::platform;

/// Standard input, or standard output.
pub(super) const STREAM: &str = "-";

/// All that is to be copied, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
}

/// One thing that is to be copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    Upload { from: PathBuf, instance: String, to: Vec<u8> },
    Download { instance: String, from: Vec<u8>, to: PathBuf },
    FromInput { instance: String, to: Vec<u8> },
    ToOutput { instance: String, from: Vec<u8> },
}

impl Job {
    pub(super) fn instance(&self) -> &str {
        match self {
            Self::Upload { instance, .. }
            | Self::Download { instance, .. }
            | Self::FromInput { instance, .. }
            | Self::ToOutput { instance, .. } => instance,
        }
    }
}

/// A place as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Location {
    Stream,
    Local(PathBuf),
    Guest(String, Vec<u8>),
}

impl Location {
    /// As `scp` reads it: what stands before the first colon is an instance's name, unless it is a part of a path.
    fn parse(text: &OsStr) -> Result<Self, Error> {
        if text == STREAM {
            return Ok(Self::Stream);
        }
        let local = || Ok(Self::Local(text.into()));
        let bytes = text.as_encoded_bytes();
        let mut parts = bytes.splitn(2, |byte| *byte == b':');
        let (Some(prefix), Some(path)) = (parts.next(), parts.next()) else { return local() };
        let is_path = prefix.is_empty() || prefix.iter().any(|byte| is_separator(char::from(*byte)));
        match str::from_utf8(prefix) {
            _ if is_path => local(),
            Ok(prefix) if platform::is_drive(prefix) => local(),
            Ok(name) => Ok(Self::Guest(name.to_owned(), path.to_owned())),
            Err(_) => Err(Error::usage(
                format!("{} is no instance's name", String::from_utf8_lossy(prefix)),
                Some("Write ./ before a path of this machine with a colon in it.".to_owned()),
            )),
        }
    }
}

impl Plan {
    /// Sorts out what goes where.
    ///
    /// # Errors
    /// It cannot be done so.
    pub(super) fn new(sources: &[impl AsRef<OsStr>], destination: impl AsRef<OsStr>) -> Result<Self, Error> {
        let destination = Location::parse(destination.as_ref())?;
        let is_one = sources.len() == 1;
        let jobs = sources.iter().map(|source| match (Location::parse(source.as_ref())?, &destination) {
            (Location::Local(from), Location::Guest(instance, to)) => {
                Ok(Job::Upload { from, instance: instance.clone(), to: to.clone() })
            }
            (Location::Guest(instance, from), Location::Local(to)) => {
                Ok(Job::Download { instance, from, to: to.clone() })
            }
            (Location::Stream, Location::Guest(instance, to)) if is_one => {
                Ok(Job::FromInput { instance: instance.clone(), to: to.clone() })
            }
            (Location::Guest(instance, from), Location::Stream) if is_one => {
                Ok(Job::ToOutput { instance, from })
            }
            (Location::Stream, Location::Guest(..)) => Err(usage(
                "standard input cannot be one of several sources",
                "Copy it by a command of its own.",
            )),
            (Location::Guest(..), Location::Stream) => {
                Err(usage("several files cannot go to standard output", "Copy one at a time."))
            }
            (Location::Guest(..), Location::Guest(..)) => Err(usage(
                "files cannot be copied from one instance to another",
                "Copy them to this machine first.",
            )),
            (Location::Local(_) | Location::Stream, Location::Local(_) | Location::Stream) => Err(usage(
                "either the source or the destination has to be in an instance",
                "Write <instance>:<path> for what is in an instance.",
            )),
        });
        Ok(Self { jobs: jobs.collect::<Result<_, _>>()? })
    }
}

fn usage(message: &str, next: &str) -> Error {
    Error::usage(message, Some(next.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_scp_reads_them() {
        let local = |path: &str| Location::Local(path.into());
        let inside = |name: &str, path: &str| Location::Guest(name.to_owned(), path.into());
        for (text, expected) in [
            ("-", Location::Stream),
            ("./-", local("./-")),
            ("file", local("file")),
            ("/a/b", local("/a/b")),
            ("./a:b", local("./a:b")),
            ("/a:b", local("/a:b")),
            (":x", local(":x")),
            ("", local("")),
            ("dev:", inside("dev", "")),
            ("dev:file", inside("dev", "file")),
            ("dev:/a:b", inside("dev", "/a:b")),
            ("dev:-", inside("dev", "-")),
        ] {
            assert_eq!(Location::parse(text.as_ref()).expect("a place"), expected, "{text}");
        }
        let drive = Location::parse("c:\\x".as_ref()).expect("a place");
        assert_eq!(drive, if cfg!(windows) { local("c:\\x") } else { inside("c", "\\x") });
    }

    #[test]
    fn what_goes_where_is_sorted_out() {
        let plan = |words: &[&str]| {
            let (destination, sources) = words.split_last().expect("words");
            Plan::new(sources, destination)
        };
        let jobs = |words: &[&str]| plan(words).expect("a plan").jobs;
        let upload =
            |from: &str| Job::Upload { from: from.into(), instance: "dev".to_owned(), to: b"d".into() };
        let download =
            |name: &str| Job::Download { instance: name.to_owned(), from: b"x".into(), to: ".".into() };
        assert_eq!(jobs(&["a", "b", "dev:d"]), [upload("a"), upload("b")]);
        assert_eq!(jobs(&["one:x", "two:x", "."]), [download("one"), download("two")]);
        assert_eq!(jobs(&["-", "dev:f"]), [Job::FromInput { instance: "dev".to_owned(), to: b"f".into() }]);
        assert_eq!(jobs(&["dev:f", "-"]), [Job::ToOutput { instance: "dev".to_owned(), from: b"f".into() }]);
        for words in [
            &["a", "b"][..],
            &["-", "-"],
            &["a", "-"],
            &["-", "a"],
            &["one:x", "two:x"],
            &["a", "one:x", "two:"],
            &["a", "one:x", "."],
            &["-", "a", "dev:"],
            &["dev:a", "dev:b", "-"],
        ] {
            let error = plan(words).expect_err("an error");
            assert_eq!(error.exit_code(), 1, "{words:?}: {error}");
            assert!(error.next_step().is_some(), "{words:?}");
        }
    }
}
