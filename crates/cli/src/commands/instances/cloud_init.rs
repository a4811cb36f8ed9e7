//! The cloud-init user data that `launch` is told: a file, standard input, or an address on the web. What it says is
//! the service's to judge.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use fetch::{Client, Limits, Request, Response, Url};

use crate::error::Error;
use crate::terminal::{InputFile, input};
use crate::{files, platform};

/// Longer texts are refused, in bytes: no service would take them in one message.
const MAX_SIZE: u64 = 1024 * 1024;

/// Reads it.
///
/// # Errors
/// It cannot be read, or is no text of a possible length.
pub(super) async fn read(path: &Path) -> Result<String, Error> {
    let source = InputFile::from(path);
    let shown = source.to_string();
    let fails = |why: String, next: &str| {
        Error::failed(format!("cannot read the cloud-init user data from {shown}: {why}"), next.to_owned())
    };
    if ["http://", "https://"].iter().any(|scheme| shown.starts_with(scheme)) {
        let bytes = download(&shown).await.map_err(|(why, next)| fails(why, &next))?;
        return text(&bytes[..])
            .map_err(|error| fails(error.to_string(), "Give the address of such a text."));
    }
    let read = input::on_thread(move || {
        text(match source {
            InputFile::Stdin => platform::unbuffered_stdin()?,
            // A pipe is waited for, as `--cloud-init <(…)` makes one.
            InputFile::Named(path) => File::open(path)?,
        })
    });
    read.await
        .map_err(|error| fails(error.to_string(), "Name a file that holds it, or give - and pipe it in."))
}

/// The beginning of what is at an address, longer than it may be if it is; or why there is none, and what to do.
async fn download(address: &str) -> Result<Vec<u8>, (String, String)> {
    let url: Url = address
        .parse()
        .map_err(|error: fetch::NotAUrl| (error.to_string(), "Give an address that is one.".to_owned()))?;
    let fails = |error: fetch::FetchError| {
        let why = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        (why, format!("It may help to {}.", error.what_helps()))
    };
    let asked = Client::platform(Limits::default()).get(&url, Request::Full).await.map_err(fails)?;
    let mut bytes = Vec::new();
    // All of it was asked for, so nothing else is answered.
    let Response::Full(mut body) = asked else { return Ok(bytes) };
    while let Some(chunk) = body.chunk().await.map_err(fails)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAX_SIZE {
            break;
        }
    }
    Ok(bytes)
}

fn text(input: impl Read) -> io::Result<String> {
    let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    match String::from_utf8(files::read_bounded(input, MAX_SIZE)?) {
        Ok(text) if text.trim().is_empty() => invalid("it is empty"),
        Ok(text) => Ok(text),
        Err(_) => invalid("it is not UTF-8 text"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use test_servers::{Say, Server};
    use transport::testkit::run;

    use super::*;

    #[test]
    fn a_file_is_read_as_it_is() {
        run(async {
            let file = tempfile::NamedTempFile::new().expect("a file");
            fs::write(file.path(), "#cloud-config\nruncmd: []\n").expect("written");
            assert_eq!(read(file.path()).await.expect("read"), "#cloud-config\nruncmd: []\n");
        });
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_name() {
        run(async {
            let directory = tempfile::tempdir().expect("a directory");
            let file = |name: &str, content: &[u8]| {
                let path = directory.path().join(name);
                fs::write(&path, content).expect("written");
                path
            };
            let longest = "x".repeat(MAX_SIZE as usize);
            assert!(read(&file("longest", longest.as_bytes())).await.is_ok());
            for (path, message) in [
                (file("long", format!("{longest}x").as_bytes()), "longer than 1048576 bytes"),
                (file("binary", b"\xff\xfe"), "not UTF-8"),
                (file("empty", b" \n"), "is empty"),
                (directory.path().join("none"), "none: "),
                ("http://user@localhost/data".into(), "http://user@localhost/data: "),
                ("http://127.0.0.1:1/data".into(), "cannot connect to 127.0.0.1:1: "),
            ] {
                let error = read(&path).await.expect_err(message);
                assert!(error.message().contains(message), "{}", error.message());
                assert_eq!(error.exit_code(), 2);
                assert!(error.next_step().is_some(), "{message}");
            }
        });
    }

    #[test]
    fn what_a_server_has_is_read_as_far_as_it_may_be_long() {
        run(async {
            let server = Server::start(|request| {
                let body = match request.path() {
                    "/text" => &b"#cloud-config\n"[..],
                    "/binary" => b"\xff",
                    "/long" => &[b'x'; 1 << 21],
                    _ => return Say::answer("404 Not Found", "Content-Length: 0\r\n", b""),
                };
                Say::answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
            });
            let at = |path: &str| PathBuf::from(format!("http://localhost:{}/{path}", server.port()));
            assert_eq!(read(&at("text")).await.expect("a text"), "#cloud-config\n");
            for (path, message) in
                [("binary", "not UTF-8"), ("long", "longer than 1048576 bytes"), ("none", "status 404")]
            {
                let error = read(&at(path)).await.expect_err(message);
                assert!(error.message().contains(message), "{}", error.message());
                assert!(error.next_step().is_some(), "{message}");
            }
        });
    }
}
