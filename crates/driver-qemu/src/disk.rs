//! Making a machine's disk, and making it larger.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;

use instances::{DriverError, ImageFormat, Seed};

use crate::account::Account;
use crate::error::{blocking, failed, failed_io};
use crate::job::Job;
use crate::{files, image, qemu_img, seed};

const PREPARE: &str = "make the virtual machine's disk";
const SEED: &str = "write the virtual machine's seed";
const GROW: &str = "make the virtual machine's disk larger";

impl Job {
    /// Makes the disk and the seed.
    pub(crate) async fn prepare(self, seed: &Seed) -> Result<(), DriverError> {
        // What is in the seed is small, and nobody else's to own meanwhile.
        seed::write(&self.files.seed(), seed).map_err(failed_io(SEED))?;
        self.image_fits().await?;
        let disk = self.new_disk().await?;
        let kept = disk.try_clone().map_err(failed(PREPARE))?;
        let (image, size) = (&self.machine.image, self.machine.spec.disk.bytes());
        let format = match image.format {
            ImageFormat::Qcow2 => "qcow2",
            ImageFormat::Raw => "raw",
        };
        let arguments = |disk: &OsStr| -> Vec<OsString> {
            // With -u the image is only named, not opened: this user may not.
            let before = ["create", "-q", "-f", "qcow2", "-u", "-F", format, "-b"].map(OsString::from);
            let after = [image.path.clone().into(), disk.to_owned(), size.to_string().into()];
            before.into_iter().chain(after).collect()
        };
        self.qemu_img(PREPARE, disk, arguments).await?;
        let directory = self.files.directory().to_owned();
        blocking(PREPARE, move || {
            kept.sync_all()?;
            files::sync_directory(&directory)
        })
        .await
    }

    /// Makes the disk as large as the specification says.
    pub(crate) async fn grow_disk(self) -> Result<(), DriverError> {
        let path = self.files.disk();
        let disk = blocking(GROW, move || qemu_img::open(&path)).await?;
        let size = self.machine.spec.disk.bytes().to_string();
        let arguments = |disk: &OsStr| -> Vec<OsString> {
            vec!["resize".into(), "-q".into(), qemu_img::alone(disk), size.into()]
        };
        self.qemu_img(GROW, disk, arguments).await
    }

    async fn image_fits(&self) -> Result<(), DriverError> {
        let (image, disk) = (self.machine.image.clone(), self.machine.spec.disk);
        let needed =
            blocking(PREPARE, move || image::disk_size(&mut File::open(&image.path)?, image.format)).await?;
        if needed <= disk.bytes() {
            return Ok(());
        }
        let mib = needed.div_ceil(1024 * 1024);
        Err(failed(PREPARE)(format!(
            "its image is of {mib} MiB, and the disk of {disk}; give '--disk {mib}M'"
        )))
    }

    async fn new_disk(&self) -> Result<File, DriverError> {
        let (path, account) = (self.files.disk(), Account::of(self.machine.id, None));
        blocking(PREPARE, move || {
            let mut options = OpenOptions::new();
            let disk = files::own(options.read(true).write(true).create_new(true)).open(path)?;
            account.map_or(Ok::<_, io::Error>(()), |account| account.give(&disk))?;
            Ok(disk)
        })
        .await
    }

    /// Runs `qemu-img` on the machine's disk.
    pub(crate) async fn qemu_img(
        &self,
        what: &str,
        disk: File,
        arguments: impl FnOnce(&OsStr) -> Vec<OsString>,
    ) -> Result<(), DriverError> {
        let account = Account::of(self.machine.id, None);
        let program = &self.shared.programs.qemu_img;
        qemu_img::run(program, account, disk, arguments).await.map_err(failed_io(what))
    }
}
