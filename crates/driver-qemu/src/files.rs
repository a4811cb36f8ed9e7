//! The files in a machine's directory.
//!
//! | file | what it is | how long |
//! |---|---|---|
//! | `disk.qcow2` | the machine's disk, its QEMU's user's own | always |
//! | `seed.img` | cloud-init's seed | always |
//! | `suspended.json` | what a kept state needs to go on; while it is there, the machine is suspended | suspended |
//! | `serial.log`, `serial.log.1` | what the guest has said on its serial port | always |
//! | `qmp.sock`, `serial.sock` | QEMU's sockets | while it runs |
//! | `pid` | QEMU's process | while it runs |
//! | `port` | where its SSH port is forwarded to | while it runs |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use durable::Readers;

/// A machine's directory.
#[derive(Clone, Debug)]
pub(crate) struct Files(PathBuf);

pub(crate) const QMP_SOCKET: &str = "qmp.sock";
pub(crate) const SERIAL_SOCKET: &str = "serial.sock";

const PID: &str = "pid";
const PORT: &str = "port";

/// What is left of a QEMU that has ended.
const OF_A_RUN: [&str; 4] = [QMP_SOCKET, SERIAL_SOCKET, PID, PORT];

/// No number, and as long as the longest.
const ROOM_FOR_A_NUMBER: &[u8] = b"           \n";

/// More than any of the small files has.
const SMALL: u64 = 64 * 1024;

impl Files {
    pub(crate) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.0.join("disk.qcow2")
    }

    pub(crate) fn seed(&self) -> PathBuf {
        self.0.join("seed.img")
    }

    pub(crate) fn suspended(&self) -> PathBuf {
        self.0.join("suspended.json")
    }

    pub(crate) fn serial_log(&self) -> PathBuf {
        self.0.join("serial.log")
    }

    /// The file that QEMU's process is written into. There is room for it, also if the disk is full by then.
    pub(crate) fn new_pid(&self) -> io::Result<File> {
        let mut file =
            own(OpenOptions::new().write(true).create(true).truncate(true)).open(self.0.join(PID))?;
        file.write_all(ROOM_FOR_A_NUMBER)?;
        file.rewind()?;
        Ok(file)
    }

    /// The process that was started last, if it has not been seen to end.
    pub(crate) fn pid(&self) -> io::Result<Option<i32>> {
        self.number(PID)
    }

    /// Where the guest's SSH port is forwarded to.
    pub(crate) fn port(&self) -> io::Result<Option<u16>> {
        self.number(PORT)
    }

    /// Remembers it.
    pub(crate) fn set_port(&self, port: u16) -> io::Result<()> {
        durable::replace(&self.0.join(PORT), port.to_string().as_bytes(), Readers::Owner).map(drop)
    }

    /// Removes what a QEMU leaves that has ended.
    pub(crate) fn clear_run(&self) -> io::Result<()> {
        OF_A_RUN.iter().try_for_each(|name| remove(&self.0.join(name)))
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> io::Result<Option<N>> {
        let bytes = durable::private::read(&self.0.join(name), SMALL)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).trim().parse().ok())
    }
}

/// The whole of a small file of ours, if it is there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    durable::private::read(path, SMALL)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes what was made or removed in a directory survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// For a file that is ours alone, and no link.
pub(crate) fn own(options: &mut OpenOptions) -> &mut OpenOptions {
    durable::private::own_file(options);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_leaves_is_read_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path());
        assert!(files.pid().unwrap().is_none() && files.port().unwrap().is_none());
        files.clear_run().unwrap();

        files.new_pid().unwrap().write_all(b"42\n").unwrap();
        files.set_port(2222).unwrap();
        assert_eq!((files.pid().unwrap(), files.port().unwrap()), (Some(42), Some(2222)));

        files.new_pid().unwrap();
        fs::write(directory.path().join(PORT), "99999999").unwrap();
        assert!(files.pid().unwrap().is_none() && files.port().unwrap().is_none());

        fs::write(files.disk(), "").unwrap();
        files.clear_run().unwrap();
        let left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [files.disk()]);
    }
}
