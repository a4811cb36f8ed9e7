//! `client.primary-name`: the instance that commands mean when they name none. It is kept in a file of this
//! client's own, `primary-name` beside the known servers: one line with the name, which is empty where there is
//! to be no such instance.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::files;
use crate::platform::{self, HOME_VARIABLE};

/// The setting's key.
pub(crate) const KEY: &str = "client.primary-name";
/// Its value until it is set.
const DEFAULT: &str = "primary";
const FILE: &str = "primary-name";
/// The longest name, in characters: it is the guest's host name (RFC 1035).
const MAX_LENGTH: usize = 63;

/// The name, empty if there is to be none.
///
/// # Errors
/// The file cannot be read, or holds no name.
pub(crate) fn get() -> Result<String, Error> {
    // Without a home, nothing was ever set.
    platform::own_directory().map_or_else(|| Ok(DEFAULT.to_owned()), |directory| read(&directory.join(FILE)))
}

/// The name, for a command that needs one; `otherwise` says what else can be given, after a space.
///
/// # Errors
/// There is none, or as for [`get`].
pub(crate) fn required(otherwise: &str) -> Result<String, Error> {
    let name = get()?;
    if name.is_empty() {
        let next =
            format!("Name one, or set the one that is meant then: `multipass set {KEY}=<name>`.{otherwise}");
        return Err(Error::usage("No instance is named, and there is no primary one", Some(next)));
    }
    Ok(name)
}

/// Sets the name; the empty one says that there is to be none.
///
/// # Errors
/// It is no name of an instance, or it cannot be written.
pub(crate) fn set(name: &str) -> Result<(), Error> {
    if !is_name(name) {
        return Err(Error::usage(
            format!("Invalid instance name supplied: \"{}\"", name.escape_debug()),
            Some(format!(
                "A name has up to {MAX_LENGTH} letters, digits or hyphens, begins with a letter, and ends with a \
                 letter or a digit."
            )),
        ));
    }
    let directory = platform::own_directory().ok_or_else(|| {
        Error::failed(
            format!("cannot tell where your settings belong: {HOME_VARIABLE} is not set"),
            format!("Set {HOME_VARIABLE} to your home directory."),
        )
    })?;
    if !platform::is_own(&directory) {
        return Err(Error::failed(
            format!("{} is another user's", directory.display()),
            "Run the command without sudo, or with root's own home directory: `sudo -H`.".to_owned(),
        ));
    }
    write(&directory, name)
}

fn write(directory: &Path, name: &str) -> Result<(), Error> {
    files::create_directory(directory)
        .and_then(|()| files::replace(directory, FILE, format!("{name}\n").as_bytes()))
        .map_err(|error| unusable("write", directory.join(FILE), &error.to_string()))
}

fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = platform::open_nonblocking(path)
        .and_then(|file| file.take(MAX_LENGTH as u64 + 2).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(DEFAULT.to_owned()),
        Err(error) => return Err(unusable("read", path.to_owned(), &error.to_string())),
        Ok(_) => {}
    }
    let name = text.trim_end();
    if is_name(name) {
        Ok(name.to_owned())
    } else {
        Err(unusable("read", path.to_owned(), "it holds no name of an instance"))
    }
}

fn unusable(step: &str, path: PathBuf, why: &str) -> Error {
    Error::failed(
        format!("cannot {step} {}: {why}", path.display()),
        format!("Check the file and its permissions. Without it, {KEY} is '{DEFAULT}'."),
    )
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_LENGTH
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
        && !name.starts_with(|first: char| !first.is_ascii_alphabetic())
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_set_is_read_and_the_file_is_the_users_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("share/ours");
        let path = directory.join(FILE);
        assert_eq!(read(&path).expect("the default"), DEFAULT);
        assert!(!directory.exists(), "reading makes nothing");
        for name in ["dev", "", &"x".repeat(MAX_LENGTH)] {
            write(&directory, name).expect(name);
            assert_eq!(read(&path).expect(name), name);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));
        }
    }

    #[test]
    fn a_file_with_something_else_is_told() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join(FILE);
        for text in ["two words", "-x", "a\nb", "\u{1b}[2J", &"x".repeat(MAX_LENGTH + 1)] {
            fs::write(&path, text).expect("written");
            let error = read(&path).expect_err(text);
            assert!(error.message().contains("holds no name"), "{text:?}: {}", error.message());
            assert!(error.next_step().is_some_and(|next| next.contains(KEY)), "{text:?}");
        }
    }

    #[test]
    fn names() {
        for (name, expected) in [
            ("primary", true),
            ("a", true),
            ("A-1", true),
            ("", true),
            ("1a", false),
            ("-a", false),
            ("a-", false),
            ("a.b", false),
            ("a b", false),
            ("\u{e4}", false),
        ] {
            assert_eq!(is_name(name), expected, "{name:?}");
        }
    }
}
