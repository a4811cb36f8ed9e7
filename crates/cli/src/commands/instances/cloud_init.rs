//! The cloud-init user data that `launch` is told: a file, or standard input. What it says is the service's to
//! judge.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;
use crate::{platform, prompt};

/// Longer texts are refused, in bytes: no service would take them in one message.
const LONGEST: u64 = 1024 * 1024;

/// Reads it.
///
/// # Errors
/// It cannot be read, or is no text of a possible length.
pub(super) async fn read(path: &Path) -> Result<String, Error> {
    let from_stdin = path.as_os_str() == "-";
    let shown = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
    if ["http://", "https://"].iter().any(|scheme| shown.starts_with(scheme)) {
        return Err(Error::Unsupported {
            message: "cloud-init user data cannot be downloaded by this client yet".to_owned(),
            next: Some(format!(
                "Download it, or pipe it in: `curl -fsSL {shown} | multipass launch --cloud-init - …`."
            )),
        });
    }
    let path = path.to_owned();
    let read = prompt::detached(move || {
        // A pipe is waited for, as `--cloud-init <(…)` makes one.
        text(if from_stdin { platform::unbuffered_stdin()? } else { File::open(path)? })
    });
    read.await.map_err(|error| {
        Error::failed(
            format!("cannot read the cloud-init user data from {shown}: {error}"),
            "Name a file that holds it, or give - and pipe it in.".to_owned(),
        )
    })
}

fn text(input: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    let fault = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if input.take(LONGEST + 1).read_to_end(&mut bytes)? as u64 > LONGEST {
        return fault(format!("it is longer than {LONGEST} bytes"));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.trim().is_empty() => fault("it is empty".to_owned()),
        Ok(text) => Ok(text),
        Err(_) => fault("it is not UTF-8 text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            let longest = "x".repeat(LONGEST as usize);
            assert!(read(&file("longest", longest.as_bytes())).await.is_ok());
            for (path, message) in [
                (file("long", format!("{longest}x").as_bytes()), "longer than 1048576 bytes"),
                (file("binary", b"\xff\xfe"), "not UTF-8"),
                (file("empty", b" \n"), "is empty"),
                (directory.path().join("none"), "none: "),
                ("https://example.com/data".into(), "cannot be downloaded"),
            ] {
                let error = read(&path).await.expect_err(message);
                assert!(error.message().contains(message), "{}", error.message());
                assert_eq!(error.exit_code(), 2);
                assert!(error.next_step().is_some(), "{message}");
            }
        });
    }
}
