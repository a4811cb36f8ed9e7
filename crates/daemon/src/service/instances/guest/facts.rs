//! What a guest tells of itself, read from text that may be written to do harm: numbers count as numbers alone,
//! names are short and drive no terminal, and what is not as it should be is not known.

use std::net::Ipv4Addr;

/// Has a guest tell, a section for each thing. By `sh`, whatever the user's own shell is; with the tools that
/// Debian and busybox have in common.
pub(super) const SCRIPT: &str = "exec sh -c '\
    PATH=$PATH:/usr/sbin:/sbin; export LC_ALL=C; \
    echo \"[load]\"; cat /proc/loadavg; \
    echo \"[memory]\"; cat /proc/meminfo; \
    echo \"[disk]\"; df -kP /; \
    echo \"[addresses]\"; ip -4 -o addr show scope global; \
    echo \"[system]\"; cat /etc/os-release'";

/// More than any honest guest has to say, in bytes.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

/// A guest in a network of many containers has more addresses than anybody wants to see.
const MAX_ADDRESSES: usize = 16;
/// Of a name, in characters.
const MAX_NAME: usize = 64;

/// What a guest told of itself, as far as it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::service::instances) struct Facts {
    /// Its operating system, by name and release.
    pub(in crate::service::instances) system: String,
    /// The load over 1, 5 and 15 minutes.
    pub(in crate::service::instances) load: String,
    pub(in crate::service::instances) memory: Option<Usage>,
    /// Of the root file system.
    pub(in crate::service::instances) disk: Option<Usage>,
    pub(in crate::service::instances) addresses: Vec<Ipv4Addr>,
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service::instances) struct Usage {
    pub(in crate::service::instances) used: u64,
    pub(in crate::service::instances) total: u64,
}

impl Facts {
    /// Reads the answer to [`SCRIPT`].
    pub(super) fn read(answer: &str) -> Self {
        let section = |name: &str| {
            let begin = format!("[{name}]");
            let lines = answer.lines().skip_while(move |line| *line != begin).skip(1);
            lines.take_while(|line| !line.starts_with('['))
        };
        Self {
            system: system(section("system")),
            load: section("load").next().and_then(load).unwrap_or_default(),
            memory: memory(section("memory")),
            // The first line is a header.
            disk: section("disk").nth(1).and_then(disk),
            addresses: section("addresses").filter_map(address).take(MAX_ADDRESSES).collect(),
        }
    }
}

/// From `os-release`.
fn system<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let (mut full, mut short, mut version) = (String::new(), String::new(), String::new());
    for line in lines {
        match line.split_once('=') {
            Some(("PRETTY_NAME", value)) => full = name(value),
            Some(("NAME", value)) => short = name(value),
            Some(("VERSION_ID", value)) => version = name(value),
            _ => {}
        }
    }
    if full.is_empty() { format!("{short} {version}").trim().to_owned() } else { full }
}

/// Of a value in `os-release`, without its quotes.
fn name(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let shown = inner.unwrap_or(value).chars().filter(|character| is_harmless(*character));
    shown.take(MAX_NAME).collect::<String>().trim().to_owned()
}

/// Whether a character neither drives a terminal nor turns the direction of writing (Unicode TR 36, section 3.3).
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// As `/proc/loadavg` begins.
fn load(line: &str) -> Option<String> {
    let mut loads = line.split_ascii_whitespace().map(|load| load.parse::<f64>().ok());
    let mut next = || loads.next().flatten().filter(|load| (0.0..1e6).contains(load));
    Some(format!("{:.2} {:.2} {:.2}", next()?, next()?, next()?))
}

/// From `/proc/meminfo`: what programs could have counts as free.
fn memory<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Usage> {
    let (mut total, mut available) = (None, None);
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("MemTotal:") => total = words.next().and_then(bytes),
            Some("MemAvailable:") => available = words.next().and_then(bytes),
            _ => {}
        }
    }
    let total = total?;
    usage(total.checked_sub(available?)?, total)
}

/// From a line of `df`: the file system, its size, what is used.
fn disk(line: &str) -> Option<Usage> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let total = bytes(words.next()?)?;
    usage(bytes(words.next()?)?, total)
}

fn usage(used: u64, total: u64) -> Option<Usage> {
    (used <= total && total > 0).then_some(Usage { used, total })
}

/// Of a number of KiB.
fn bytes(kib: &str) -> Option<u64> {
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

/// From a line of `ip`: `2: eth0    inet 10.0.2.15/24 …`.
fn address(line: &str) -> Option<Ipv4Addr> {
    let (_, address) = line.split_once(" inet ")?;
    let (address, _) = address.split_once(['/', ' '])?;
    address.parse().ok().filter(|address: &Ipv4Addr| !address.is_loopback() && !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HONEST: &str = "\
[load]
0.25 0.10 1.00 1/82 415
[memory]
MemTotal:        1008664 kB
MemFree:          600000 kB
MemAvailable:     834584 kB
[disk]
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/vda1          4913096 1572864   3340232      33% /
[addresses]
2: ens3    inet 10.0.2.15/24 metric 100 brd 10.0.2.255 scope global dynamic ens3\\       valid_lft 86000sec
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever
[system]
PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"
NAME=\"Ubuntu\"
VERSION_ID=\"24.04\"
VERSION=\"24.04.1 LTS (Noble Numbat)\"
ID=ubuntu
";

    #[test]
    fn an_honest_guest_is_understood() {
        let expected = Facts {
            system: "Ubuntu 24.04.1 LTS".into(),
            load: "0.25 0.10 1.00".into(),
            memory: Some(Usage { used: 174_080 * 1024, total: 1_008_664 * 1024 }),
            disk: Some(Usage { used: 1_572_864 * 1024, total: 4_913_096 * 1024 }),
            addresses: vec![Ipv4Addr::new(10, 0, 2, 15), Ipv4Addr::new(172, 17, 0, 1)],
        };
        assert_eq!(Facts::read(HONEST), expected);
    }

    #[test]
    fn what_is_missing_or_no_number_is_not_known() {
        assert_eq!(Facts::read(""), Facts::default());
        for (section, lines) in [
            ("load", "0.1 0.2"),
            ("load", "0.1 0.2 many"),
            ("load", "-1 0 0"),
            ("load", "NaN 0 0"),
            ("load", "inf 0 0"),
            ("load", "1e300 0 0"),
            ("load", "\u{1b}[2J 0 0"),
            ("memory", "MemTotal: 10 kB"),
            ("memory", "MemTotal: 10 kB\nMemAvailable: 11 kB"),
            ("memory", "MemTotal: 0 kB\nMemAvailable: 0 kB"),
            ("memory", "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB"),
            ("memory", "MemTotal:\nMemAvailable:"),
            ("disk", "/dev/vda1 10 5"),
            ("disk", "header"),
            ("disk", "header\n/dev/vda1 10"),
            ("disk", "header\n/dev/vda1 10 11"),
            ("disk", "header\n/dev/vda1 -10 -11"),
            ("addresses", "2: eth0 inet 10.0.2.256/24"),
            ("addresses", "2: eth0 inet \u{1b}[31m10.0.2.15/24"),
            ("addresses", "1: lo inet 127.0.0.1/8"),
            ("addresses", "inet"),
            ("system", "ID=debian"),
            ("system", "NAME"),
            ("unknown", "0 0 0"),
        ] {
            assert_eq!(
                Facts::read(&format!("[{section}]\n{lines}\n")),
                Facts::default(),
                "{section}: {lines}"
            );
        }
    }

    #[test]
    fn a_system_is_called_by_its_name_and_release() {
        for (lines, system) in [
            (
                "NAME='Debian GNU/Linux'\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"",
                "Debian GNU/Linux 12 (bookworm)",
            ),
            ("NAME=Fedora\nVERSION_ID=41", "Fedora 41"),
            ("NAME=Void", "Void"),
            ("NAME=\"", "\""),
        ] {
            assert_eq!(Facts::read(&format!("[system]\n{lines}\n")).system, system, "{lines}");
        }
    }

    #[test]
    fn a_name_drives_no_terminal_and_is_short() {
        let hostile = "A\u{1b}]0;title\u{7}\u{9b}31m\u{202e}B\t\u{2066}\u{2028}\0C\r";
        let facts = Facts::read(&format!("[system]\nPRETTY_NAME=\"{hostile}\"\n"));
        assert_eq!(facts.system, "A]0;title31mBC");
        let long = Facts::read(&format!("[system]\nNAME={}\n", "é".repeat(10_000)));
        assert_eq!(long.system.chars().count(), MAX_NAME);
    }

    #[test]
    fn addresses_are_few() {
        let many: String = (0..200).map(|number| format!("2: eth0 inet 10.0.0.{number}/24 x\n")).collect();
        assert_eq!(Facts::read(&format!("[addresses]\n{many}")).addresses.len(), MAX_ADDRESSES);
    }
}
