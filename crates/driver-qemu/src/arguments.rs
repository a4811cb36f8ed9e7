//! QEMU's command line.
//!
//! Files and sockets are named by descriptors that QEMU inherits, so that it needs no access to where they are.
//! Only names that we have made or checked are in it, and no secrets.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use instances::{ImageFormat, InstanceId, Machine};
use serde_json::json;

use crate::accelerator::Accelerator;

/// What QEMU's block layer calls the machine's disk.
pub(crate) const DISK: &str = "disk";
/// What it calls the network.
pub(crate) const NETWORK: &str = "net";

/// The machine's type, unless it goes on with a state that another was saved of.
pub(crate) const MACHINE_TYPE: &str = "q35";

/// What follows the machine's id, by which its process is known.
pub(crate) const FIRST_OPTION: &str = "-nodefaults";

/// Before the machine's directory, in the argument that has it, which QEMU makes no use of.
const OPAQUE: &str = ",opaque=";

/// The descriptors that QEMU inherits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// The machine's disk, to be written.
    pub(crate) disk: RawFd,
    /// The image that the disk is based on, to be read.
    pub(crate) image: RawFd,
    /// The seed, to be read.
    pub(crate) seed: RawFd,
    /// The listening socket of the monitor.
    pub(crate) qmp: RawFd,
    /// The listening socket of the serial port.
    pub(crate) serial: RawFd,
}

/// What the machine begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin<'a> {
    /// From its disk.
    Boot,
    /// With a state of this name, kept on its disk, of this type of machine.
    State { tag: &'a str, machine_type: &'a str },
}

/// The arguments, without the program. The machine's processors are halted at first.
pub(crate) fn arguments(
    machine: &Machine,
    accelerator: Accelerator,
    begin: Begin<'_>,
    descriptors: Descriptors,
) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |these: &[&str]| arguments.extend(these.iter().map(|&this| this.to_owned()));
    let machine_type = match begin {
        Begin::Boot => MACHINE_TYPE,
        Begin::State { machine_type, .. } => machine_type,
    };

    add(&["-name", machine.name.as_str(), "-uuid", &machine.id.to_string()]);
    add(&[FIRST_OPTION, "-no-user-config", "-display", "none", "-S"]);
    // By seccomp, which is Linux's: a QEMU that is built without it does not start with this.
    if cfg!(target_os = "linux") {
        add(&["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]);
    }
    add(&["-machine", &format!("{machine_type},dump-guest-core=off")]);
    add(&accelerator.arguments());
    add(&["-smp", &machine.spec.cpus.get().to_string()]);
    add(&["-m", &format!("{}B", machine.spec.memory.bytes())]);

    let Descriptors { disk, image, seed, qmp, serial } = descriptors;
    for (set, descriptor) in [(1, disk), (2, image), (3, seed)] {
        let whose = if set == 1 { whose(&machine.directory) } else { String::new() };
        add(&["-add-fd", &format!("fd={descriptor},set={set}{whose}")]);
    }
    let format = match machine.image.format {
        ImageFormat::Qcow2 => "qcow2",
        ImageFormat::Raw => "raw",
    };
    // The image is named here, whatever the disk says: what is in the disk's header may be a guest's doing.
    let disk = json!({
        "driver": "qcow2", "node-name": DISK, "discard": "unmap", "file": file(1),
        "backing": { "driver": format, "read-only": true, "file": file(2) },
    });
    let seed = json!({ "driver": "raw", "node-name": "seed", "read-only": true, "file": file(3) });
    add(&["-blockdev", &disk.to_string(), "-blockdev", &seed.to_string()]);
    add(&["-device", "virtio-blk-pci,drive=disk,bootindex=0", "-device", "virtio-blk-pci,drive=seed"]);

    add(&["-netdev", &format!("user,id={NETWORK}")]);
    add(&["-device", &format!("virtio-net-pci,netdev={NETWORK},mac={},romfile=", mac(machine.id))]);
    add(&["-device", "virtio-rng-pci"]);

    add(&["-chardev", &format!("socket,id=qmp,fd={qmp},server=on,wait=off")]);
    add(&["-mon", "chardev=qmp,mode=control"]);
    add(&["-chardev", &format!("socket,id=serial,fd={serial},server=on,wait=off")]);
    add(&["-serial", "chardev:serial"]);
    if let Begin::State { tag, .. } = begin {
        add(&["-loadvm", tag]);
    }
    arguments
}

/// The machine that a process with these arguments runs, if it is a QEMU of this driver.
pub(crate) fn machine_in<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Option<InstanceId> {
    let mut arguments = arguments.into_iter().skip_while(|argument| *argument != b"-uuid");
    let id = std::str::from_utf8(arguments.nth(1)?).ok()?.parse().ok()?;
    (arguments.next()? == FIRST_OPTION.as_bytes()).then_some(id)
}

/// What the command line says of whose machine it is: there may be other daemons, and who may see that it runs may
/// still not see which files it has open.
fn whose(directory: &Path) -> String {
    // A comma would end it, unless it is doubled.
    directory.to_str().map(|path| format!("{OPAQUE}{}", path.replace(',', ",,"))).unwrap_or_default()
}

/// The directory of the machine that has `argument` on its command line, if that tells it.
pub(crate) fn directory_in(argument: &[u8]) -> Option<PathBuf> {
    let argument = std::str::from_utf8(argument).ok()?;
    let (descriptor, path) = argument.split_once(OPAQUE)?;
    descriptor.starts_with("fd=").then(|| path.replace(",,", ",").into())
}

fn file(set: u8) -> serde_json::Value {
    json!({ "driver": "file", "filename": format!("/dev/fdset/{set}"), "discard": "unmap" })
}

/// In QEMU's range, and of the instance's own bytes: the same at each start, or the guest would take its network
/// card for another.
fn mac(id: InstanceId) -> String {
    let [.., a, b, c] = *id.as_bytes();
    format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
}

#[cfg(test)]
mod tests {
    use instances::{Cpus, DiskImage, DiskSize, InstanceSpec, MemorySize};

    use super::*;

    fn machine(format: ImageFormat) -> Machine {
        Machine {
            id: "01020304-0506-4000-8000-00000a0b0c0d".parse().unwrap(),
            name: "brave-fox".parse().unwrap(),
            directory: "/machines/brave-fox".into(),
            spec: InstanceSpec {
                cpus: Cpus::new(2).unwrap(),
                memory: MemorySize::LEAST,
                disk: DiskSize::LEAST,
            },
            image: DiskImage { path: "/vault/image, with a comma".into(), format },
        }
    }

    const DESCRIPTORS: Descriptors = Descriptors { disk: 11, image: 12, seed: 13, qmp: 14, serial: 15 };

    /// What follows an option, each time that it is given.
    fn values<'a>(arguments: &'a [String], option: &str) -> Vec<&'a str> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == option);
        pairs.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn what_the_machine_is_given() {
        let arguments = arguments(&machine(ImageFormat::Qcow2), Accelerator::Tcg, Begin::Boot, DESCRIPTORS);
        for (option, expected) in [
            ("-name", vec!["brave-fox"]),
            ("-uuid", vec!["01020304-0506-4000-8000-00000a0b0c0d"]),
            ("-machine", vec!["q35,dump-guest-core=off"]),
            ("-accel", vec!["tcg,thread=multi,tb-size=64"]),
            ("-cpu", vec!["max"]),
            ("-smp", vec!["2"]),
            ("-m", vec!["134217728B"]),
            ("-add-fd", vec!["fd=11,set=1,opaque=/machines/brave-fox", "fd=12,set=2", "fd=13,set=3"]),
            (
                "-sandbox",
                match cfg!(target_os = "linux") {
                    true => vec!["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
                    false => vec![],
                },
            ),
            (
                "-chardev",
                vec!["socket,id=qmp,fd=14,server=on,wait=off", "socket,id=serial,fd=15,server=on,wait=off"],
            ),
            ("-loadvm", vec![]),
        ] {
            assert_eq!(values(&arguments, option), expected, "{option}");
        }
        for alone in ["-nodefaults", "-no-user-config", "-S"] {
            assert!(arguments.iter().any(|argument| argument == alone), "{alone}");
        }
        let network = values(&arguments, "-device");
        assert!(network.contains(&"virtio-net-pci,netdev=net,mac=52:54:00:0b:0c:0d,romfile="), "{network:?}");
        // Files are reached by descriptors alone.
        let mut paths = arguments.iter().filter(|argument| !argument.starts_with("fd=11,set=1,opaque="));
        assert!(!paths.any(|argument| argument.contains("/machines") || argument.contains("/vault")));
    }

    #[test]
    fn whose_machine_it_is_can_be_read_again() {
        for directory in ["/machines/brave-fox", "/a,b,,c/d=e,opaque=/x", "/\u{e4} b"] {
            let machine = Machine { directory: directory.into(), ..machine(ImageFormat::Raw) };
            let arguments = arguments(&machine, Accelerator::Tcg, Begin::Boot, DESCRIPTORS);
            let found: Vec<_> = arguments.iter().filter_map(|it| directory_in(it.as_bytes())).collect();
            assert_eq!(found, [PathBuf::from(directory)]);
        }
        for other in [&b"fd=11,set=1"[..], b"x,opaque=/machines", b"fd=1,opaque=/\xff", b""] {
            assert_eq!(directory_in(other), None);
        }
    }

    #[test]
    fn the_disk_is_based_on_the_image_that_we_name() {
        for (format, name) in [(ImageFormat::Qcow2, "qcow2"), (ImageFormat::Raw, "raw")] {
            let arguments = arguments(&machine(format), Accelerator::Kvm, Begin::Boot, DESCRIPTORS);
            let blocks = values(&arguments, "-blockdev");
            let disk: serde_json::Value = serde_json::from_str(blocks[0]).unwrap();
            assert_eq!(disk["driver"], "qcow2");
            assert_eq!(disk["file"]["filename"], "/dev/fdset/1");
            assert_eq!(disk["backing"]["driver"], name);
            assert_eq!(disk["backing"]["read-only"], true);
            assert_eq!(disk["backing"]["file"]["filename"], "/dev/fdset/2");
            let seed: serde_json::Value = serde_json::from_str(blocks[1]).unwrap();
            assert!(seed["read-only"] == true && seed["file"]["filename"] == "/dev/fdset/3");
        }
    }

    #[test]
    fn a_saved_state_is_gone_on_with_in_the_machine_that_it_is_of() {
        let begin = Begin::State { tag: "suspend", machine_type: "pc-q35-7.2" };
        let arguments = arguments(&machine(ImageFormat::Qcow2), Accelerator::Kvm, begin, DESCRIPTORS);
        assert_eq!(values(&arguments, "-loadvm"), ["suspend"]);
        assert_eq!(values(&arguments, "-machine"), ["pc-q35-7.2,dump-guest-core=off"]);
        assert_eq!(values(&arguments, "-accel"), ["kvm"]);
        assert_eq!(values(&arguments, "-cpu"), ["host"]);
    }
}
