//! Whether machines run on the processor itself or are emulated.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;

/// What the administrator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The processor's own virtualization where it works, else emulation.
    #[default]
    Automatic,
    /// The processor's own, whether or not we think that it works.
    Hardware,
    /// Emulation, many times slower.
    Emulation,
}

/// How QEMU runs a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Linux's virtualization.
    Kvm,
    /// macOS's virtualization.
    Hvf,
    /// QEMU's emulation.
    Tcg,
}

const KVM: &str = "/dev/kvm";

impl Accelerator {
    /// Chooses for this machine. If it is emulation that nobody asked for, the second value says why.
    pub(crate) fn choose(choice: Choice) -> (Self, Option<String>) {
        let hardware = if cfg!(target_os = "macos") { Self::Hvf } else { Self::Kvm };
        match choice {
            Choice::Hardware => (hardware, None),
            Choice::Emulation => (Self::Tcg, None),
            Choice::Automatic if cfg!(target_os = "macos") => (hardware, None),
            Choice::Automatic => {
                let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
                let paravirtual = Path::new("/sys/module/kvm_pvm").exists();
                let opened = OpenOptions::new().read(true).write(true).open(KVM).map(drop);
                let opened = opened.map_err(|error| format!("{KVM} cannot be opened: {error}"));
                match why_not_kvm(&cpuinfo, paravirtual, opened) {
                    None => (Self::Kvm, None),
                    Some(why) => (Self::Tcg, Some(why)),
                }
            }
        }
    }

    /// QEMU's arguments for it: the accelerator, and the processor that the guest sees.
    pub(crate) const fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Hvf => ["-accel", "hvf", "-cpu", "host"],
            // QEMU would set aside a gigabyte of its own for translated code.
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=64", "-cpu", "max"],
        }
    }

    /// The group that may use the device, where not everyone may.
    pub(crate) fn group(self) -> Option<u32> {
        use std::os::unix::fs::MetadataExt;
        if self != Self::Kvm {
            return None;
        }
        let metadata = std::fs::metadata(KVM).ok()?;
        (metadata.mode() & 0o006 != 0o006).then_some(metadata.gid())
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Hvf => "HVF",
            Self::Tcg => "TCG",
        })
    }
}

/// That the device can be opened proves nothing: a `kvm_pvm` makes machines whose kernels then die.
fn why_not_kvm(cpuinfo: &str, paravirtual: bool, opened: Result<(), String>) -> Option<String> {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    if !flags.flat_map(str::split_whitespace).any(|flag| ["vmx", "svm"].contains(&flag)) {
        return Some("the processor has no virtualization that this system may use".into());
    }
    if paravirtual {
        return Some("this system's kvm_pvm cannot run ordinary guests".into());
    }
    opened.err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_is_used_only_where_it_works() {
        let intel = "processor\t: 0\nflags\t\t: fpu vme vmx est\n";
        let amd = "flags\t\t: fpu svm\n";
        // Nearly, but not.
        let neither = "flags\t\t: fpu svm_lock hypervisor\nvmx flags\t: vnmi\nmodel name\t: svm\n";
        let denied = || Err("/dev/kvm cannot be opened: denied".to_owned());
        for (cpuinfo, paravirtual, opened, why) in [
            (intel, false, Ok(()), None),
            (amd, false, Ok(()), None),
            (neither, false, Ok(()), Some("no virtualization")),
            ("", false, Ok(()), Some("no virtualization")),
            (intel, true, Ok(()), Some("kvm_pvm")),
            (intel, false, denied(), Some("denied")),
        ] {
            let found = why_not_kvm(cpuinfo, paravirtual, opened);
            match why {
                None => assert_eq!(found, None),
                Some(why) => assert!(found.as_ref().is_some_and(|found| found.contains(why)), "{found:?}"),
            }
        }
    }

    #[test]
    fn the_administrator_decides_without_a_notice() {
        assert_eq!(Accelerator::choose(Choice::Emulation), (Accelerator::Tcg, None));
        assert_ne!(Accelerator::choose(Choice::Hardware).0, Accelerator::Tcg);
    }
}
