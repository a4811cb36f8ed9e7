//! How much of the host an instance gets: memory, disk and processors.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use thiserror::Error;

use crate::name::shown;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Memory, in bytes: 128 MiB at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemorySize(u64);

/// Room on a disk, in bytes: 512 MiB at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskSize(u64);

/// How many processors: one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus(NonZeroU32);

/// What cannot be a size.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeError {
    /// Text that is no size of memory.
    #[error("{} is not a valid memory size: give bytes, or a number with K, M or G, as in 1.5G", given(.0))]
    NotMemory(String),
    /// Text that is no size of a disk.
    #[error("{} is not a valid disk size: give bytes, or a number with K, M or G, as in 10G", given(.0))]
    NotDisk(String),
    /// Too little memory.
    #[error("{given} is not a valid memory size: an instance needs at least {}", MemorySize::LEAST)]
    TooLittleMemory {
        /// What was asked for.
        given: String,
    },
    /// Too small a disk.
    #[error("{given} is not a valid disk size: an instance needs at least {}", DiskSize::LEAST)]
    TooSmallDisk {
        /// What was asked for.
        given: String,
    },
}

/// What cannot be a number of processors.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{} is not a valid number of CPUs: give a whole number from 1 to {}", given(.0), Cpus::MOST)]
pub struct CpusError(String);

/// What was given, of which even nothing is to be seen.
fn given(text: &str) -> String {
    if text.is_empty() { "''".to_owned() } else { shown(text) }
}

impl MemorySize {
    /// The least that an instance may have.
    pub const LEAST: Self = Self(128 * MIB);
    /// What an instance gets that asks for nothing else.
    pub const DEFAULT: Self = Self(GIB);

    /// A size in bytes.
    ///
    /// # Errors
    /// It is too little for an instance.
    pub fn from_bytes(bytes: u64) -> Result<Self, SizeError> {
        let least = Self::LEAST.0;
        (bytes >= least)
            .then_some(Self(bytes))
            .ok_or_else(|| SizeError::TooLittleMemory { given: human(bytes) })
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl DiskSize {
    /// The least that an instance may have.
    pub const LEAST: Self = Self(512 * MIB);
    /// What an instance gets that asks for nothing else.
    pub const DEFAULT: Self = Self(5 * GIB);

    /// A size in bytes.
    ///
    /// # Errors
    /// It is too little for an instance.
    pub fn from_bytes(bytes: u64) -> Result<Self, SizeError> {
        let least = Self::LEAST.0;
        (bytes >= least).then_some(Self(bytes)).ok_or_else(|| SizeError::TooSmallDisk { given: human(bytes) })
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Cpus {
    /// What an instance gets that asks for nothing else.
    pub const DEFAULT: Self = Self(NonZeroU32::MIN);
    /// More than any machine gives its guests; a driver may take fewer.
    const MOST: u32 = 1024;

    /// So many processors.
    ///
    /// # Errors
    /// It is none, or more than any machine has.
    pub fn new(count: u32) -> Result<Self, CpusError> {
        let fits = NonZeroU32::new(count).filter(|count| count.get() <= Self::MOST);
        fits.map(Self).ok_or_else(|| CpusError(count.to_string()))
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl FromStr for MemorySize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes(text).ok_or_else(|| SizeError::NotMemory(text.to_owned()))?;
        Self::from_bytes(bytes).map_err(|_| SizeError::TooLittleMemory { given: text.to_owned() })
    }
}

impl FromStr for DiskSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes(text).ok_or_else(|| SizeError::NotDisk(text.to_owned()))?;
        Self::from_bytes(bytes).map_err(|_| SizeError::TooSmallDisk { given: text.to_owned() })
    }
}

impl FromStr for Cpus {
    type Err = CpusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let count = text.parse().ok().filter(|_| digits);
        count.and_then(|count| Self::new(count).ok()).ok_or_else(|| CpusError(text.to_owned()))
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human(self.0))
    }
}

impl fmt::Display for DiskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human(self.0))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bytes that text stands for: a whole number of them, or a decimal number of KiB, MiB or GiB. `K`, `KB`
/// and `KiB` are the same, in either case. Exact but for the last byte, which is rounded down.
fn bytes(text: &str) -> Option<u64> {
    /// So many digits of a fraction count: all of a byte in a GiB needs no more, and they fit.
    const DIGITS: usize = 18;

    let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_ends);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => KIB,
        "m" | "mb" | "mib" => MIB,
        "g" | "gb" | "gib" => GIB,
        _ => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        // Half a byte is none.
        Some((whole, fraction)) if unit > 1 && !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (number, "0"),
    };
    let fraction = fraction.get(..DIGITS).unwrap_or(fraction);
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u128>().ok()?.checked_mul(unit.into())? / scale;
    let bytes = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    bytes.checked_add(u64::try_from(part).ok()?)
}

/// As people read it: `1.5GiB`.
fn human(bytes: u64) -> String {
    let (unit, name) = match bytes {
        GIB.. => (GIB, "GiB"),
        MIB.. => (MIB, "MiB"),
        KIB.. => (KIB, "KiB"),
        _ => return format!("{bytes}B"),
    };
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{}{name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_a_decimal_with_a_unit() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1),
            ("1073741824", GIB),
            ("1073741824B", GIB),
            ("1K", KIB),
            ("1k", KIB),
            ("1KB", KIB),
            ("1kib", KIB),
            ("512M", 512 * MIB),
            ("512MiB", 512 * MIB),
            ("1.5G", GIB + 512 * MIB),
            ("0.5GiB", 512 * MIB),
            ("2.25mb", 2 * MIB + 256 * KIB),
            ("1.9999999999999999999999999G", 2 * GIB - 1),
            ("007K", 7 * KIB),
            ("18446744073709551615", u64::MAX),
            ("17179869183G", u64::MAX - GIB + 1),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "G",
            ".5G",
            "5.G",
            "1.5",
            "1.5B",
            "-1G",
            "+1G",
            "1 G",
            " 1G",
            "1G ",
            "1.5.5G",
            "1T",
            "1e9",
            "0x10",
            "1,5G",
            "1Gi",
            "1GiBB",
            "１G",
            "18446744073709551616",
            "17179869184G",
            "99999999999999999999999999999999999999999999",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_in_the_stock_services_words() {
        let memory = |text: &str| text.parse::<MemorySize>().map_err(|error| error.to_string());
        let disk = |text: &str| text.parse::<DiskSize>().map_err(|error| error.to_string());
        assert_eq!(memory("128M"), Ok(MemorySize::LEAST));
        assert_eq!(memory("1G"), Ok(MemorySize::DEFAULT));
        assert_eq!(disk("512M"), Ok(DiskSize::LEAST));
        assert_eq!(disk("5G"), Ok(DiskSize::DEFAULT));
        for (text, shown) in
            [("1X", "1X"), ("127.9M", "127.9M"), ("134217727", "134217727"), ("0", "0"), ("", "''")]
        {
            let error = memory(text).unwrap_err();
            assert!(error.starts_with(&format!("{shown} is not a valid memory size")), "{error}");
        }
        for (text, shown) in
            [("1X", "1X"), ("511.9M", "511.9M"), ("536870911", "536870911"), ("0", "0"), ("", "''")]
        {
            let error = disk(text).unwrap_err();
            assert!(error.starts_with(&format!("{shown} is not a valid disk size")), "{error}");
        }
        assert_eq!(
            MemorySize::from_bytes(MIB).unwrap_err().to_string(),
            "1.0MiB is not a valid memory size: an instance needs at least 128.0MiB"
        );
        assert!(DiskSize::from_bytes(512 * MIB - 1).is_err());
    }

    #[test]
    fn sizes_are_shown_for_people() {
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (KIB, "1.0KiB"),
            (512 * MIB, "512.0MiB"),
            (GIB - 1, "1023.9MiB"),
            (GIB + 512 * MIB, "1.5GiB"),
            (u64::MAX, "17179869183.9GiB"),
        ] {
            assert_eq!(human(bytes), expected);
        }
    }

    #[test]
    fn there_is_one_processor_at_least() {
        for (text, expected) in [("1", 1), ("16", 16), ("1024", 1024), ("04", 4)] {
            assert_eq!(text.parse::<Cpus>().unwrap().get(), expected);
        }
        assert!("".parse::<Cpus>().unwrap_err().to_string().starts_with("'' is not a valid number of CPUs"));
        for text in ["0", "-1", "+1", "1.5", "1025", "two", "4294967297"] {
            let error = text.parse::<Cpus>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text} is not a valid number of CPUs")), "{error}");
        }
        for count in [0, 1025] {
            let error = Cpus::new(count).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{count} is not")), "{error}");
        }
    }
}
