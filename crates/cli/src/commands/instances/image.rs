//! The image that `launch` is told: a file, a URL, or what a remote calls it.
//!
//! A file is turned into a URL, and nothing is found out about it: the service opens it with the user's rights.

use std::path::{self, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use transport::Endpoint;

use crate::error::Error;

/// What stands as it is in a URL's path (RFC 3986, section 3.3: unreserved characters, and the separator).
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What ends the name of a file with an image, and not what a remote calls one.
const EXTENSIONS: [&str; 5] = ["img", "iso", "qcow2", "raw", "xz"];

/// An image as the service wants it named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// The remote, if one is named.
    pub(super) remote: String,
    /// The URL, or what the remote calls it.
    pub(super) name: String,
}

/// Reads `[remote:]image`, a URL or a path. The service listens on `endpoint`.
///
/// # Errors
/// A file of this machine is not one that the service could open, or has no absolute path.
pub(super) fn parse(image: &str, endpoint: &Endpoint) -> Result<Image, Error> {
    if image.contains("://") {
        return Ok(Image { remote: String::new(), name: image.to_owned() });
    }
    if is_path(image) {
        return from_file(Path::new(image), endpoint);
    }
    let (remote, name) = split_remote(image);
    Ok(Image { remote, name })
}

/// Takes `[remote:]name` apart.
pub(super) fn split_remote(text: &str) -> (String, String) {
    let (remote, name) = text.split_once(':').unwrap_or(("", text));
    (remote.to_owned(), name.to_owned())
}

fn is_path(image: &str) -> bool {
    let ends_as_a_file = Path::new(image)
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|found| EXTENSIONS.iter().any(|extension| found.eq_ignore_ascii_case(extension)));
    image.contains(path::is_separator) || ends_as_a_file
}

fn from_file(file: &Path, endpoint: &Endpoint) -> Result<Image, Error> {
    if !endpoint.is_on_this_machine() {
        return Err(Error::usage(
            format!("{} is a file of this machine, and the service is on another", file.display()),
            Some("Give a URL with https://, or run the command on the service's machine.".to_owned()),
        ));
    }
    let absolute = path::absolute(file).map_err(|error| {
        Error::failed(
            format!("cannot tell where {} is: {error}", file.display()),
            "Give its whole path.".to_owned(),
        )
    })?;
    Ok(Image { remote: String::new(), name: url(&absolute) })
}

#[cfg(unix)]
fn url(absolute: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    format!("file://{}", percent_encode(absolute.as_os_str().as_bytes(), IN_PATH))
}

#[cfg(windows)]
fn url(absolute: &Path) -> String {
    /// The colon is that of the drive.
    const IN_WINDOWS_PATH: &AsciiSet = &IN_PATH.remove(b':');
    let path = absolute.to_string_lossy().replace('\\', "/");
    format!("file:///{}", percent_encode(path.as_bytes(), IN_WINDOWS_PATH))
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::env;

    use super::*;

    fn local() -> Endpoint {
        "localhost:50051".parse().expect("an address")
    }

    #[test]
    fn names_of_remotes_and_urls_stay_as_they_are() {
        for (image, remote, name) in [
            ("24.04", "", "24.04"),
            ("noble", "", "noble"),
            ("daily:26.04", "daily", "26.04"),
            ("release:", "release", ""),
            ("https://example.com/a b.img", "", "https://example.com/a b.img"),
            ("file:///srv/disk.qcow2", "", "file:///srv/disk.qcow2"),
        ] {
            let expected = Image { remote: remote.to_owned(), name: name.to_owned() };
            assert_eq!(parse(image, &local()).expect(image), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_becomes_the_url_of_its_file() {
        let here = url(&env::current_dir().expect("a directory"));
        for (image, expected) in [
            ("/srv/disk.qcow2", "file:///srv/disk.qcow2".to_owned()),
            ("/a b/100%/#1?/\u{e4}:x~", "file:///a%20b/100%25/%231%3F/%C3%A4%3Ax~".to_owned()),
            ("disk.IMG", format!("{here}/disk.IMG")),
            ("./noble", format!("{here}/noble")),
            ("images/daily:x", format!("{here}/images/daily%3Ax")),
        ] {
            assert_eq!(parse(image, &local()).expect(image).name, expected);
        }
    }

    #[test]
    fn a_file_of_this_machine_is_none_of_another_ones() {
        let elsewhere: Endpoint = "server.example:50051".parse().expect("an address");
        let error = parse("./disk.img", &elsewhere).expect_err("another machine");
        assert_eq!(error.exit_code(), 1);
        assert!(error.message().contains("./disk.img") && error.next_step().is_some(), "{error}");
        assert!(parse("noble", &elsewhere).is_ok() && parse("file:///srv/disk.img", &elsewhere).is_ok());
    }
}
