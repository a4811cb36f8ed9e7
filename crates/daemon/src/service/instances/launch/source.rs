//! Where an image is to come from: a file of the caller's, or a server.

use std::ffi::OsString;
use std::path::PathBuf;

use auth_core::Authenticated;
use instances::{Digest, ImageSource};
use percent_encoding::percent_decode_str;
use tonic::Status;

use super::Service;
use crate::service::status::escaped;

/// Ends the address of an image whose checksum is known.
const CHECKSUM: &str = "#sha256=";
/// As many characters of an address as are repeated to who has given it.
const MAX_SHOWN: usize = 256;

/// Opens or names the image of that address, and tells its digest, if it is part of the address.
pub(super) async fn source(
    service: &Service,
    by: &Authenticated,
    image: &str,
    remote: &str,
) -> Result<(ImageSource, Option<Digest>), Status> {
    let (address, expected) = match image.split_once(CHECKSUM) {
        Some((address, digest)) => {
            let digest = digest.parse().map_err(|error| invalid(address, &error))?;
            (address, Some(digest))
        }
        None => (image, None),
    };
    if let Some(path) = address.strip_prefix("file://") {
        let path = path_of(path).ok_or_else(|| {
            invalid(address, &"it is not of the form file:///path/to/image, with %25 for each '%'")
        })?;
        let file = open(service, by, path).await?;
        return Ok((ImageSource::File { file, origin: address.to_owned() }, expected));
    }
    if address.starts_with("http://") || address.starts_with("https://") {
        let url = address.parse().map_err(|error: fetch::NotAUrl| invalid(address, &error))?;
        return Ok((ImageSource::Url(url), expected));
    }
    if image.is_empty() {
        return Err(Status::not_found(
            "This service has no default image: name one, as file:///path/to/image or https://host/image.",
        ));
    }
    let wanted = if remote.is_empty() { image.to_owned() } else { format!("{remote}:{image}") };
    Err(Status::not_found(format!(
        "Unable to find an image matching \"{}\": this service has no remotes. Give the address of an image, as \
         file:///path/to/image or https://host/image.",
        escaped(&wanted, MAX_SHOWN)
    )))
}

#[cfg(unix)]
async fn open(service: &Service, by: &Authenticated, path: PathBuf) -> Result<std::fs::File, Status> {
    use auth_core::Channel;

    use crate::open_file::{Credentials, OpenError, Refusal};

    let Channel::Local { uid, gid, groups } = by.channel() else { return Err(not_from_afar()) };
    let credentials = Credentials { uid: *uid, gid: *gid, groups: groups.to_vec() };
    let place = escaped(&path.to_string_lossy(), MAX_SHOWN);
    service.opener.open(credentials, &path).await.map_err(|error| {
        let message = format!("cannot open the image \"{place}\": {error}");
        match error {
            OpenError::Refused(Refusal::NotPermitted { .. }) => Status::permission_denied(message),
            OpenError::Refused(Refusal::NotFound | Refusal::NotAFile) => Status::invalid_argument(message),
            OpenError::Refused(_) => Status::failed_precondition(message),
            OpenError::Failed(_) | OpenError::TimedOut => {
                tracing::warn!("{message}");
                Status::failed_precondition(message)
            }
        }
    })
}

/// Without Unix sockets nobody says whose rights to use.
#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "as where there are Unix sockets")]
async fn open(_: &Service, _: &Authenticated, _: PathBuf) -> Result<std::fs::File, Status> {
    Err(not_from_afar())
}

fn not_from_afar() -> Status {
    Status::failed_precondition(
        "A local image is opened with the rights of the user who asks, and those are known over the service's Unix \
         socket alone. Run the command on the service's machine over that socket, or give the image's http:// or \
         https:// address.",
    )
}

/// The path in the rest of a `file` address (RFC 8089), if it is one on this machine.
fn path_of(rest: &str) -> Option<PathBuf> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') || !is_percent_encoded(path) || path.contains("%00") {
        return None;
    }
    Some(os_string(percent_decode_str(path).collect())?.into())
}

/// Whether two digits follow each '%' (RFC 3986, section 2.1). Decoding leaves the others as they are, and so would find
/// another file than the one that was meant.
fn is_percent_encoded(text: &str) -> bool {
    let is_octet = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    text.split('%').skip(1).all(|rest| rest.as_bytes().get(..2).is_some_and(is_octet))
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(Into::into)
}

fn invalid(address: &str, why: &dyn std::fmt::Display) -> Status {
    Status::invalid_argument(format!(
        "\"{}\" is not the address of an image: {why}",
        escaped(address, MAX_SHOWN)
    ))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use auth_core::{Channel, Level};

    use super::*;
    use crate::service::fixture::TestService;

    /// Whose rights would count nobody says there; and nobody learns what is there.
    #[tokio::test]
    async fn over_a_network_no_file_is_opened() {
        let test = TestService::new();
        test.add(Level::Full);
        let by = test.client_over(Channel::Remote(Ipv4Addr::LOCALHOST.into()));
        for address in ["file:///etc/passwd", "file:///nonexistent", "file:///"] {
            let refused = source(&test.service, &by, address, "").await.map(drop).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{address}");
            assert_eq!(refused.message(), not_from_afar().message(), "{address}");
        }
    }

    #[test]
    fn little_is_repeated_of_an_address_and_none_of_it_drives_a_terminal() {
        let refused = invalid(&"\u{1b}".repeat(1000), &"it is none");
        let shown = r"\u{1b}".repeat(256);
        assert_eq!(refused.message(), format!("\"{shown}\" is not the address of an image: it is none"));
    }

    #[test]
    fn the_path_of_a_file_address_is_absolute_and_decoded() {
        for (rest, path) in [
            ("/a/b.qcow2", Some("/a/b.qcow2")),
            ("localhost/a", Some("/a")),
            ("/a%20b%2Fc", Some("/a b/c")),
            ("/100%25", Some("/100%")),
            ("/%C3%a9", Some("/é")),
            ("/é", Some("/é")),
            // Once, and no more.
            ("/%2541", Some("/%41")),
            ("/%2500", Some("/%00")),
            ("/a+b", Some("/a+b")),
            ("", None),
            ("a/b", None),
            ("otherhost/a", None),
            ("/a%", None),
            ("/a%2", None),
            ("/a%zz", None),
            ("/a%4", None),
            ("/a%4g", None),
            ("/a%+1", None),
            ("/a%%41", None),
            ("/a%4é", None),
            ("/%41/%", None),
            ("localhost%2Fa", None),
            ("/a%00", None),
        ] {
            assert_eq!(path_of(rest), path.map(PathBuf::from), "{rest}");
        }
    }

    /// A path is any bytes on Unix, and text elsewhere.
    #[test]
    fn a_path_that_is_no_text_is_one_on_unix_alone() {
        let path = path_of("/%FF");
        #[cfg(unix)]
        assert_eq!(
            path.unwrap().as_os_str(),
            <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/\xff")
        );
        #[cfg(not(unix))]
        assert_eq!(path, None);
    }
}
