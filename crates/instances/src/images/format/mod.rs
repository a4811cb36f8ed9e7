//! What a file is that is said to be an image, by its first bytes.
//!
//! QEMU is told the format and never guesses it. But a qcow2 file can name other files of the host, which QEMU
//! would then open; one that does is no image here. The header is read by ourselves, strictly: what is not
//! known is refused. (The format: docs/interop/qcow2.rst of QEMU.)

use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;

use crate::ImageFormat;

const MAGIC: [u8; 4] = *b"QFI\xfb";
const SECTOR: u64 = 512;

/// The bits of `incompatible_features` that are read here: zstd compression, and extended entries of tables.
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
/// Of `autoclear_features`: the external data file is raw.
const RAW_EXTERNAL: u64 = 1 << 1;

/// Header extensions that name other files, or keys.
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE: u32 = 0x4441_5441;
const ENCRYPTION: u32 = 0x0537_be77;

/// What a file was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageInfo {
    pub(super) format: ImageFormat,
    /// The disk in it, in bytes.
    pub(super) disk: u64,
}

/// Why a file is no image.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAnImage {
    /// It is neither of the formats.
    #[error("it is neither a qcow2 image nor a raw disk with a partition table{}", .0.map(|what| format!(", but {what}")).unwrap_or_default())]
    Neither(Option<&'static str>),
    /// It ends too soon.
    #[error("it is cut off; download it again")]
    CutOff,
    /// It is qcow2, and not of a kind that is safe to use.
    #[error("it is a qcow2 image that {0}; 'qemu-img convert -O qcow2' makes a plain one of it")]
    Unsafe(&'static str),
    /// It is qcow2, and its header contradicts itself.
    #[error("it is a damaged qcow2 image, and has to be downloaded again: {0}")]
    Damaged(&'static str),
}

/// Looks at a file of `length` bytes. *Blocking*.
///
/// # Errors
/// It cannot be read. Within: it is no image.
pub(super) fn look(file: &mut (impl Read + Seek), length: u64) -> io::Result<Result<ImageInfo, NotAnImage>> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(2 * SECTOR).read_to_end(&mut start)?;
    if start.starts_with(&MAGIC) {
        return look_at_qcow2(file, length);
    }
    Ok(look_at_raw(&start, length))
}

/// A raw disk has no mark of its own: it must have a partition table, and not look like anything else.
fn look_at_raw(start: &[u8], length: u64) -> Result<ImageInfo, NotAnImage> {
    const OTHERS: [(&[u8], &str); 10] = [
        (b"KDMV", "a VMDK image"),
        (b"# Disk Descriptor", "a VMDK description"),
        (b"conectix", "a VHD image"),
        (b"vhdxfile", "a VHDX image"),
        (b"<<< ", "a VDI image"),
        (b"QED\0", "a QED image"),
        (b"\x1f\x8b", "something compressed by gzip: unpack it first"),
        (b"\xfd7zXZ\0", "something compressed by xz: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "something compressed by zstd: unpack it first"),
        (b"PK\x03\x04", "a zip archive: unpack it first"),
    ];
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(NotAnImage::Neither(Some(what)));
    }
    // The last bytes of the first sector; a GUID partition table has a protective one of these.
    let has_table = start.get(510..512) == Some(&[0x55, 0xaa]);
    if !has_table {
        return Err(NotAnImage::Neither(None));
    }
    if !length.is_multiple_of(SECTOR) {
        return Err(NotAnImage::CutOff);
    }
    Ok(ImageInfo { format: ImageFormat::Raw, disk: length })
}

fn look_at_qcow2(file: &mut (impl Read + Seek), length: u64) -> io::Result<Result<ImageInfo, NotAnImage>> {
    /// The header and all its extensions lie in the first cluster, and clusters have 2 MiB at most.
    const LARGEST_CLUSTER: u64 = 2 * 1024 * 1024;

    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LARGEST_CLUSTER).read_to_end(&mut start)?;
    Ok(Header { bytes: &start }.check(length).map(|disk| ImageInfo { format: ImageFormat::Qcow2, disk }))
}

/// The start of a qcow2 file.
struct Header<'a> {
    bytes: &'a [u8],
}

impl Header<'_> {
    /// The size of the disk, if the image is whole in itself.
    fn check(&self, length: u64) -> Result<u64, NotAnImage> {
        use NotAnImage::{Damaged, Unsafe};

        let version = self.u32(4)?;
        if version != 2 && version != 3 {
            return Err(Unsafe("is of an unknown version"));
        }
        if self.u64(8)? != 0 || self.u32(16)? != 0 {
            return Err(Unsafe("is based on another file"));
        }
        let cluster_bits = self.u32(20)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(Damaged("its cluster size is invalid"));
        }
        let cluster = 1_u64 << cluster_bits;
        let disk = self.u64(24)?;
        if self.u32(32)? != 0 {
            return Err(Unsafe("is encrypted"));
        }
        let features = if version == 3 { self.u64(72)? } else { 0 };
        for (bits, why) in [
            (DIRTY, "was not closed properly"),
            (CORRUPT, "is marked as corrupt"),
            (EXTERNAL_DATA, "keeps its data in another file"),
            (!(COMPRESSION_TYPE | EXTENDED_L2), "has features that are not known here"),
        ] {
            if features & bits != 0 {
                return Err(Unsafe(why));
            }
        }
        if self.u32(60)? != 0 {
            return Err(Unsafe("holds snapshots"));
        }
        let header = if version == 3 { self.check_third()? } else { 72 };
        self.check_extensions(header, cluster)?;
        self.check_tables(length, cluster, disk, features)?;
        Ok(disk)
    }

    /// What only version 3 has. Gives the length of the header.
    fn check_third(&self) -> Result<u64, NotAnImage> {
        if self.u64(88)? & RAW_EXTERNAL != 0 {
            return Err(NotAnImage::Unsafe("keeps its data in another file"));
        }
        if self.u32(96)? > 6 {
            return Err(NotAnImage::Damaged("its reference counts have no possible size"));
        }
        let header = u64::from(self.u32(100)?);
        if header < 104 || !header.is_multiple_of(8) {
            return Err(NotAnImage::Damaged("its header has no possible length"));
        }
        Ok(header)
    }

    fn check_extensions(&self, mut at: u64, cluster: u64) -> Result<(), NotAnImage> {
        // Each takes eight bytes at least, so that this ends.
        while at + 8 <= cluster {
            let (kind, length) = (self.u32(at)?, u64::from(self.u32(at + 4)?));
            match kind {
                0 => return Ok(()),
                BACKING_FORMAT => return Err(NotAnImage::Unsafe("is based on another file")),
                DATA_FILE => return Err(NotAnImage::Unsafe("keeps its data in another file")),
                ENCRYPTION => return Err(NotAnImage::Unsafe("is encrypted")),
                _ => at += 8 + length.next_multiple_of(8),
            }
        }
        Err(NotAnImage::Damaged("its header does not end"))
    }

    /// The tables that everything hangs from lie in the file, and cover the disk.
    fn check_tables(&self, length: u64, cluster: u64, disk: u64, features: u64) -> Result<(), NotAnImage> {
        let (entries, l1, refcounts) = (u64::from(self.u32(36)?), self.u64(40)?, self.u64(48)?);
        let refcount_clusters = u64::from(self.u32(56)?);
        let lies_within = |at: u64, bytes: u64| {
            at > 0 && at.is_multiple_of(cluster) && at.checked_add(bytes).is_some_and(|end| end <= length)
        };
        if !lies_within(l1, entries * 8) {
            return Err(NotAnImage::CutOff);
        }
        if refcount_clusters == 0 || !lies_within(refcounts, refcount_clusters * cluster) {
            return Err(NotAnImage::CutOff);
        }
        let entry = if features & EXTENDED_L2 == 0 { 8 } else { 16 };
        let each = (cluster / entry).saturating_mul(cluster);
        if disk == 0 || disk.div_ceil(each) > entries {
            return Err(NotAnImage::Damaged("its tables do not cover its disk"));
        }
        Ok(())
    }

    fn u32(&self, at: u64) -> Result<u32, NotAnImage> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn u64(&self, at: u64) -> Result<u64, NotAnImage> {
        self.array(at).map(u64::from_be_bytes)
    }

    fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], NotAnImage> {
        let at = usize::try_from(at).map_err(|_| NotAnImage::CutOff)?;
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(NotAnImage::CutOff)
    }
}

#[cfg(test)]
mod tests;
