//! What a guest says on its serial port, in a log of bounded size.
//!
//! A guest can write there without end, and as fast as it can. So the log is two files of which the older one
//! goes, and no more is read in a second than is worth keeping; QEMU lets the guest wait, or drops the rest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::files;

/// The most that one of the two files has, in bytes.
const MOST: u64 = 512 * 1024;
/// What is read at once.
const CHUNK: usize = 32 * 1024;
/// Between two reads: 320 KiB in a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Writes down what `guest` says until it ends.
///
/// # Errors
/// The log cannot be written.
pub(crate) async fn keep(mut guest: impl AsyncRead + Unpin, log: PathBuf) -> io::Result<()> {
    let mut log = tokio::task::spawn_blocking(move || Log::open(log)).await??;
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = guest.read(&mut chunk).await?;
        let Some(said) = chunk.get(..length).filter(|said| !said.is_empty()) else { return Ok(()) };
        let said = said.to_vec();
        log = tokio::task::spawn_blocking(move || log.write(&said).map(|()| log)).await??;
        tokio::time::sleep(PAUSE).await;
    }
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = files::own(OpenOptions::new().append(true).create(true)).open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, file, length })
    }

    fn write(&mut self, said: &[u8]) -> io::Result<()> {
        if self.length + said.len() as u64 > MOST {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            fs::rename(&self.path, &older)?;
            *self = Self::open(std::mem::take(&mut self.path))?;
        }
        self.file.write_all(said)?;
        self.length += said.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_talks_without_end_fills_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serial.log");
        fs::write(&path, "of an earlier run\n").unwrap();
        let talk: Vec<u8> = (0..3 * MOST).map(|number| (number % 251) as u8).collect();
        keep(talk.as_slice(), path.clone()).await.unwrap();

        let (new, old) = (fs::read(&path).unwrap(), fs::read(directory.path().join("serial.log.1")).unwrap());
        assert!(new.len() as u64 <= MOST && old.len() as u64 <= MOST);
        assert!((new.len() + old.len()) as u64 > MOST, "{} and {}", old.len(), new.len());
        // What is there is the last, without a gap.
        assert!(talk.ends_with(&[old, new].concat()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_log_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serial.log");
        keep(&b"one\n"[..], path.clone()).await.unwrap();
        keep(&b"two\n"[..], path.clone()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }
}
