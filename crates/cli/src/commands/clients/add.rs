//! `clients add`: trusts a client, by the certificate that is found for it.

use std::fs::File;
use std::io;
use std::path::Path;

use rpc::trust::{AddReply, AddRequest};

use super::{display_name, into_reply, other_user};
use crate::args::{AddClientArgs, Level, client_name};
use crate::connection::{Context, Service};
use crate::credentials::{IdentityStore, fingerprint};
use crate::error::Error;
use crate::terminal::{InputFile, input, text};
use crate::{files, platform};

/// Larger texts hold no certificate, in bytes.
pub(super) const MAX_CERTIFICATE_SIZE: u64 = 64 * 1024;
const CERTIFICATE: &str = "CERTIFICATE";

/// Runs the command.
///
/// # Errors
/// There is no certificate to add, or the service refused it.
pub(super) async fn run(context: &Context, args: &AddClientArgs) -> Result<String, Error> {
    let (certificate, mut name) = match (&args.cert, &args.user) {
        (Some(file), _) => (from_file(file).await?, String::new()),
        (None, Some(user)) => (other_user::certificate(user).await?, client_name(user).unwrap_or_default()),
        (None, None) => (own_certificate()?, String::new()),
    };
    if let Some(given) = &args.name {
        name.clone_from(given);
    }
    let mut service = Service::connect_as_administrator(context).await?;
    service.note_call("Add");
    let level = if args.read_only { Level::ReadOnly } else { Level::Full };
    let request = AddRequest { certificate, name: name.clone(), level: level.name().to_owned() };
    let answer = service.trust.add(request).await;
    let reply = into_reply(&service.endpoint, answer)?;
    Ok(summary(&reply, &name, level))
}

/// What has come of adding a client that was to have the name `wanted`, or none.
fn summary(reply: &AddReply, wanted: &str, level: Level) -> String {
    let AddReply { fingerprint, was_trusted, name } = reply;
    let limit = if level == Level::ReadOnly { ", and may only read" } else { "" };
    if !was_trusted {
        return format!("The client {} is trusted{limit}.\n", display_name(wanted, fingerprint));
    }
    let known = format!("The client {} was trusted already{limit}.", display_name(name, fingerprint));
    if wanted.is_empty() || wanted == name {
        return format!("{known}\n");
    }
    let named = if name.is_empty() { "has no name" } else { "keeps its name" };
    format!(
        "{known} It {named}; to change that, run `multipass clients rename {} {wanted}`.\n",
        text::shell_quoted(fingerprint::short(fingerprint))
    )
}

/// This user's certificate in PEM, made if there is none.
///
/// # Errors
/// It cannot be made, or it would have to be made in another user's home.
pub(super) fn own_certificate() -> Result<String, Error> {
    let store = IdentityStore::of_user()?;
    if !store.is_own() {
        return Err(Error::failed(
            format!(
                "{} belongs to another user, and root keeps no client there",
                store.directory().display()
            ),
            "To add that user's client, run `sudo multipass clients add --user <name>`.".to_owned(),
        ));
    }
    Ok(to_pem(store.load_or_create()?.certificate().to_vec()))
}

/// This user's certificate in PEM; nothing if there is none.
///
/// # Errors
/// It cannot be read.
pub(super) fn existing_certificate() -> Result<String, Error> {
    let identity = IdentityStore::of_user()?.load()?;
    Ok(identity.map(|identity| to_pem(identity.certificate().to_vec())).unwrap_or_default())
}

/// The certificate in a file, read with this user's rights.
async fn from_file(path: &Path) -> Result<String, Error> {
    let source = InputFile::from(path);
    let next = "Name a file that holds one client's certificate in PEM.".to_owned();
    let fails = |what: String| Error::failed(what, next);
    let read = {
        let source = source.clone();
        input::on_thread(move || read(&source)).await
    };
    match read.map(|text| only_certificate(&text)) {
        Ok(Ok(certificate)) => Ok(certificate),
        Ok(Err(what)) => Err(fails(format!("{source} {what}"))),
        Err(error) => Err(fails(format!("cannot read {source}: {error}"))),
    }
}

fn read(source: &InputFile) -> io::Result<Vec<u8>> {
    let file = match source {
        InputFile::Stdin => platform::unbuffered_stdin()?,
        InputFile::Named(path) => open_regular_file(path)?,
    };
    files::read_bounded(file, MAX_CERTIFICATE_SIZE)
}

/// Opens a file that has an end. Whoever owns its directory may have it replaced while root looks at it; so
/// nothing else is opened if that can be helped, and what was opened is looked at again.
fn open_regular_file(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(not_regular());
    }
    open_and_check(path)
}

fn open_and_check(path: &Path) -> io::Result<File> {
    let file = platform::open_nonblocking(path)?;
    if !file.metadata()?.is_file() {
        return Err(not_regular());
    }
    Ok(file)
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

/// The one certificate in a text, and nothing else of it: the text may hold a key as well.
pub(super) fn only_certificate(text: &[u8]) -> Result<String, &'static str> {
    const NONE: &str = "holds no certificate in PEM";
    let blocks = pem::parse_many(text).map_err(|_| NONE)?;
    let mut found = blocks.into_iter().filter(|block| block.tag() == CERTIFICATE);
    match (found.next(), found.next()) {
        (Some(block), None) => Ok(to_pem(block.into_contents())),
        (Some(_), Some(_)) => Err("holds more than one certificate"),
        (None, _) => Err(NONE),
    }
}

/// A certificate in PEM.
fn to_pem(der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(CERTIFICATE, der), config)
}

#[cfg(test)]
mod tests {
    use transport::testkit::certificates::TestIdentity;

    use super::*;

    #[test]
    fn a_client_that_was_trusted_already_is_told_of_with_its_name() {
        let fingerprint = "ba7816bf8f01".repeat(5);
        for (was_trusted, name, wanted, level, expected) in [
            (false, "", "alice", Level::Full, "The client alice (ba7816bf8f01) is trusted.\n"),
            (false, "", "", Level::ReadOnly, "The client ba7816bf8f01 is trusted, and may only read.\n"),
            (true, "alice", "alice", Level::Full, "The client alice (ba7816bf8f01) was trusted already.\n"),
            (true, "", "", Level::Full, "The client ba7816bf8f01 was trusted already.\n"),
            (
                true,
                "alice",
                "bob",
                Level::ReadOnly,
                "The client alice (ba7816bf8f01) was trusted already, and may only read. It keeps its name; to \
                 change that, run `multipass clients rename ba7816bf8f01 bob`.\n",
            ),
            (
                true,
                "",
                "bob",
                Level::Full,
                "The client ba7816bf8f01 was trusted already. It has no name; to change that, run \
                 `multipass clients rename ba7816bf8f01 bob`.\n",
            ),
        ] {
            let (fingerprint, name) = (fingerprint.clone(), name.to_owned());
            assert_eq!(summary(&AddReply { fingerprint, was_trusted, name }, wanted, level), expected);
        }
    }

    #[test]
    fn only_the_certificate_leaves_the_file() {
        let identity = TestIdentity::client();
        let (certificate, key) = (identity.certificate_pem(), identity.key_pem());
        let both = format!("notes\n{key}{certificate}");
        let sent = only_certificate(both.as_bytes()).expect("a certificate");
        assert_eq!(sent.trim(), certificate.replace("\r\n", "\n").trim());
        for (text, what) in [
            (format!("{certificate}{certificate}"), "holds more than one certificate"),
            (key, "holds no certificate in PEM"),
            (String::new(), "holds no certificate in PEM"),
            ("-----BEGIN CERTIFICATE-----\nMIIB".to_owned(), "holds no certificate in PEM"),
        ] {
            assert_eq!(only_certificate(text.as_bytes()), Err(what));
        }
    }

    #[test]
    fn only_a_bounded_file_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        for (length, fits) in [(0, true), (MAX_CERTIFICATE_SIZE, true), (MAX_CERTIFICATE_SIZE + 1, false)] {
            File::create(&file).and_then(|file| file.set_len(length)).expect("made");
            assert_eq!(read(&file.as_path().into()).is_ok(), fits, "{length}");
        }
        for path in [directory.path(), Path::new("/dev/zero"), &directory.path().join("none")] {
            assert!(read(&path.into()).is_err(), "{}", path.display());
        }
    }

    /// A FIFO has nobody who writes to it: opening it in the usual way would wait for one.
    #[cfg(unix)]
    #[test]
    fn what_takes_a_files_place_is_neither_waited_for_nor_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
        assert!(made.success());
        let (done, result) = std::sync::mpsc::channel();
        for path in [fifo, directory.path().to_owned(), "/dev/zero".into()] {
            let (done, opening) = (done.clone(), path.clone());
            std::thread::spawn(move || done.send(open_and_check(&opening)));
            let result = result.recv_timeout(std::time::Duration::from_secs(10));
            let error = result.expect("no waiting").expect_err("no file");
            assert_eq!(error.to_string(), "it is not a regular file", "{}", path.display());
        }
    }
}
