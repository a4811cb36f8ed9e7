//! A driver, a guest image and a place for machines.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use driver_qemu::{Choice, QemuDriver};
use instances::{
    Cpus, DiskImage, DiskSize, Driver, DriverError, ImageFormat, InstanceId, InstanceSpec, Machine,
    MachineState, MemorySize, Seed,
};
use secrecy::SecretString;
use ssh::{HostKey, KeyPair, Session, SessionError};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Generous: the machine that runs the tests may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

pub(crate) struct Lab {
    pub(crate) driver: QemuDriver,
    pub(crate) image: PathBuf,
    directory: TempDir,
    /// Opens the guests.
    pub(crate) key: KeyPair,
}

/// A machine, and the key that its guest has.
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    pub(crate) host: KeyPair,
}

impl Lab {
    /// Where there is a QEMU and a guest image; else the test is skipped.
    pub(crate) fn open() -> Option<Self> {
        let driver = match QemuDriver::new(Choice::Automatic) {
            Ok(driver) => driver,
            Err(why) => {
                e2e::skip(&format!("needs QEMU: {why}"));
                return None;
            }
        };
        // Where cargo has the target directory, its folder for tests is in it.
        let image = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guest-image/guest.qcow2");
        if !image.exists() {
            e2e::skip("needs a guest: cargo xtask guest-image");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        Some(Self { driver, image, directory, key: KeyPair::generate().unwrap() })
    }

    /// A path beside the machines.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// As after a restart of the daemon: nothing is remembered.
    pub(crate) fn restart_daemon(&mut self) {
        self.driver = QemuDriver::new(Choice::Automatic).unwrap();
    }

    /// A machine in a directory of its own, not yet prepared.
    pub(crate) fn guest(&self, name: &str) -> Guest {
        let directory = self.directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        let machine = Machine {
            id: InstanceId::random(),
            name: name.parse().unwrap(),
            directory,
            spec: InstanceSpec { cpus: Cpus::DEFAULT, memory: MemorySize::LEAST, disk: DiskSize::LEAST },
            image: DiskImage { path: self.image.clone(), format: ImageFormat::Qcow2 },
        };
        Guest { machine, host: KeyPair::generate().unwrap() }
    }

    pub(crate) fn seed(&self, guest: &Guest) -> Seed {
        let name = guest.machine.name.as_str();
        let meta_data = format!("instance-id: {}\nlocal-hostname: {name}\n", guest.machine.id);
        let private = guest.host.to_openssh().unwrap().replace('\n', "\\n");
        let (public, key) = (guest.host.public(), self.key.public());
        let vendor_data = format!(
            "#cloud-config\nssh_authorized_keys: [\"{key}\"]\nssh_keys:\n  ed25519_private: \"{private}\"\n  \
             ed25519_public: \"{public}\"\n"
        );
        Seed {
            meta_data,
            user_data: SecretString::from("#cloud-config\n{}\n"),
            vendor_data: SecretString::from(vendor_data),
        }
    }

    /// A prepared machine, off.
    pub(crate) async fn prepared(&self, name: &str) -> Guest {
        let guest = self.guest(name);
        self.driver.prepare(&guest.machine, &self.seed(&guest)).await.unwrap();
        guest
    }

    pub(crate) async fn state(&self, guest: &Guest) -> MachineState {
        self.driver.state(&guest.machine).await
    }

    pub(crate) async fn reachable(&self, guest: &Guest) -> Result<(), DriverError> {
        timeout(DEADLINE, self.driver.reachable(&guest.machine))
            .await
            .expect("the guest should be up in time")
    }

    pub(crate) async fn session(&self, guest: &Guest, user: &str) -> Session {
        let opened = self.open_session(guest, &guest.host.public(), user, &self.key).await;
        opened.unwrap_or_else(|error| panic!("{error}; the guest has said:\n{}", guest.serial_log()))
    }

    pub(crate) async fn open_session(
        &self,
        guest: &Guest,
        host: &HostKey,
        user: &str,
        key: &KeyPair,
    ) -> Result<Session, SessionError> {
        let address =
            self.driver.ssh_address(&guest.machine).await.expect("a running machine has an address");
        assert!(address.ip().is_loopback(), "{address}");
        let open = async {
            let stream = TcpStream::connect(address).await.unwrap();
            Session::open(stream, host, user, key).await
        };
        timeout(DEADLINE, open).await.expect("the guest should let us in, or not")
    }

    /// What a command of the guest's user `ubuntu` prints.
    pub(crate) async fn run(&self, guest: &Guest, command: &str) -> String {
        let session = self.session(guest, "ubuntu").await;
        let finished =
            timeout(DEADLINE, session.run(command, 64 * 1024)).await.expect("it should end").unwrap();
        assert_eq!(finished.code, Some(0), "{command}: {finished:?}");
        String::from_utf8(finished.stdout).unwrap().trim().to_owned()
    }

    pub(crate) async fn boot_id(&self, guest: &Guest) -> String {
        self.run(guest, "cat /proc/sys/kernel/random/boot_id").await
    }
}

impl Guest {
    /// The machine's process, if it has one.
    pub(crate) fn process(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.machine.directory.join("pid")).ok()?;
        text.trim().parse().ok()
    }

    /// Kills the machine's process, as the system does when it is out of memory.
    pub(crate) fn kill(&self) {
        let process = self.process().expect("the machine should run");
        #[cfg(target_os = "linux")]
        let opened = {
            use rustix::process::{Pid, PidfdFlags, pidfd_open};
            pidfd_open(Pid::from_raw(process.try_into().unwrap()).unwrap(), PidfdFlags::empty()).unwrap()
        };
        let killed = Command::new("kill").args(["-9", &process.to_string()]).status();
        assert!(killed.unwrap().success());
        // Until it has ended it holds its disk.
        #[cfg(target_os = "linux")]
        {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
            assert_eq!(poll(&mut [PollFd::new(&opened, PollFlags::IN)], Some(&limit)).unwrap(), 1);
        }
    }

    /// What the guest has said on its serial port.
    pub(crate) fn serial_log(&self) -> String {
        let log = std::fs::read(self.machine.directory.join("serial.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The names of the files in the machine's directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.machine.directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        kill_all(self.directory.path());
    }
}

/// Kills the machines in a directory: what a failed test leaves running would go on after it.
pub(crate) fn kill_all(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let process = std::fs::read_to_string(entry.path().join("pid")).unwrap_or_default();
        if let Ok(process) = process.trim().parse::<u32>() {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
        }
    }
}
