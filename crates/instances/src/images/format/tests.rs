//! Headers, good and bad. The plain ones are of `qemu-img create`; the bad ones differ from those in one field.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

const CLUSTER: usize = 65536;

/// As `qemu-img create -f qcow2 … 64M` makes it: header, reference counts and tables, a cluster each.
fn plain(version: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, b"QFI\xfb");
    put(4, &version.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &(64_u64 << 20).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    if version == 3 {
        put(96, &4_u32.to_be_bytes());
        put(100, &112_u32.to_be_bytes());
        // The table of the features' names.
        put(112, &0x6803_f857_u32.to_be_bytes());
        put(116, &336_u32.to_be_bytes());
    }
    bytes
}

fn found(bytes: &[u8]) -> Result<ImageInfo, NotAnImage> {
    look(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
}

fn with(version: u32, at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = plain(version);
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

#[test]
fn a_plain_qcow2_image_is_one() {
    let expected = ImageInfo { format: ImageFormat::Qcow2, disk: 64 << 20 };
    for version in [2, 3] {
        assert_eq!(found(&plain(version)), Ok(expected), "version {version}");
    }
    let zstd = with(3, 72, &(COMPRESSION_TYPE).to_be_bytes());
    assert_eq!(found(&zstd), Ok(expected));
    let extended = with(3, 72, &(EXTENDED_L2).to_be_bytes());
    assert_eq!(found(&extended), Ok(expected));
}

#[test]
fn a_qcow2_image_that_is_not_plain_is_refused() {
    use NotAnImage::{CutOff, Damaged, Unsafe};
    let extension = |kind: u32, length: u32| [kind.to_be_bytes(), length.to_be_bytes()].concat();
    let table = [
        (with(3, 4, &4_u32.to_be_bytes()), Unsafe("is of an unknown version")),
        (with(3, 4, &1_u32.to_be_bytes()), Unsafe("is of an unknown version")),
        (with(3, 8, &512_u64.to_be_bytes()), Unsafe("is based on another file")),
        (with(2, 8, &512_u64.to_be_bytes()), Unsafe("is based on another file")),
        (with(3, 16, &9_u32.to_be_bytes()), Unsafe("is based on another file")),
        (with(3, 112, &extension(BACKING_FORMAT, 5)), Unsafe("is based on another file")),
        (with(2, 72, &extension(BACKING_FORMAT, 5)), Unsafe("is based on another file")),
        (with(3, 32, &1_u32.to_be_bytes()), Unsafe("is encrypted")),
        (with(3, 32, &2_u32.to_be_bytes()), Unsafe("is encrypted")),
        (with(3, 112, &extension(ENCRYPTION, 16)), Unsafe("is encrypted")),
        (with(3, 72, &DIRTY.to_be_bytes()), Unsafe("was not closed properly")),
        (with(3, 72, &CORRUPT.to_be_bytes()), Unsafe("is marked as corrupt")),
        (with(3, 72, &EXTERNAL_DATA.to_be_bytes()), Unsafe("keeps its data in another file")),
        (with(3, 88, &RAW_EXTERNAL.to_be_bytes()), Unsafe("keeps its data in another file")),
        (with(3, 112, &extension(DATA_FILE, 5)), Unsafe("keeps its data in another file")),
        (with(2, 72, &extension(DATA_FILE, 5)), Unsafe("keeps its data in another file")),
        // Behind another one.
        (with(3, 456, &extension(DATA_FILE, 5)), Unsafe("keeps its data in another file")),
        (with(3, 72, &(1_u64 << 5).to_be_bytes()), Unsafe("has features that are not known here")),
        (with(3, 72, &(1_u64 << 63).to_be_bytes()), Unsafe("has features that are not known here")),
        (with(3, 60, &1_u32.to_be_bytes()), Unsafe("holds snapshots")),
        (with(3, 20, &8_u32.to_be_bytes()), Damaged("its cluster size is invalid")),
        (with(3, 20, &22_u32.to_be_bytes()), Damaged("its cluster size is invalid")),
        (with(3, 20, &u32::MAX.to_be_bytes()), Damaged("its cluster size is invalid")),
        (with(3, 96, &7_u32.to_be_bytes()), Damaged("its reference counts have no possible size")),
        (with(3, 100, &72_u32.to_be_bytes()), Damaged("its header has no possible length")),
        (with(3, 100, &113_u32.to_be_bytes()), Damaged("its header has no possible length")),
        (with(3, 100, &0xffff_fff8_u32.to_be_bytes()), Damaged("its header does not end")),
        (with(3, 116, &u32::MAX.to_be_bytes()), Damaged("its header does not end")),
        (with(3, 24, &0_u64.to_be_bytes()), Damaged("its tables do not cover its disk")),
        (with(3, 24, &u64::MAX.to_be_bytes()), Damaged("its tables do not cover its disk")),
        (with(3, 36, &0_u32.to_be_bytes()), Damaged("its tables do not cover its disk")),
        (with(3, 36, &u32::MAX.to_be_bytes()), CutOff),
        (with(3, 40, &0_u64.to_be_bytes()), CutOff),
        (with(3, 40, &u64::MAX.to_be_bytes()), CutOff),
        (with(3, 40, &(3 * CLUSTER as u64 + 512).to_be_bytes()), CutOff),
        (with(3, 48, &(4 * CLUSTER as u64).to_be_bytes()), CutOff),
        (with(3, 56, &0_u32.to_be_bytes()), CutOff),
        (with(3, 56, &u32::MAX.to_be_bytes()), CutOff),
    ];
    for (number, (bytes, expected)) in table.into_iter().enumerate() {
        assert_eq!(found(&bytes), Err(expected), "row {number}");
    }
    for length in [4, 5, 71, 72, 103, 104, 119, 120] {
        assert_eq!(found(&plain(3)[..length]), Err(CutOff), "{length}");
    }
}

#[test]
fn a_raw_disk_has_a_partition_table_and_whole_sectors() {
    let mut disk = vec![0; 2048];
    assert_eq!(found(&disk), Err(NotAnImage::Neither(None)));
    disk[510] = 0x55;
    disk[511] = 0xaa;
    assert_eq!(found(&disk), Ok(ImageInfo { format: ImageFormat::Raw, disk: 2048 }));
    assert_eq!(found(&disk[..512]), Ok(ImageInfo { format: ImageFormat::Raw, disk: 512 }));
    assert_eq!(found(&disk[..513]), Err(NotAnImage::CutOff));
    assert_eq!(found(&disk[..511]), Err(NotAnImage::Neither(None)));
    assert_eq!(found(b""), Err(NotAnImage::Neither(None)));
    for (start, what) in [
        (b"KDMV".as_slice(), "VMDK"),
        (b"conectix", "VHD"),
        (b"vhdxfile", "VHDX"),
        (b"<<< Oracle VM VirtualBox Disk Image >>>", "VDI"),
        (b"QED\0", "QED"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
    ] {
        let mut other = disk.clone();
        other[..start.len()].copy_from_slice(start);
        let error = found(&other).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

proptest! {
    /// Whatever the fields say, it is told in the end, and an image never has a disk that it does not cover.
    #[test]
    fn no_header_is_too_strange(
        version in 2_u32..=3,
        changes in prop::collection::vec((4_usize..460, any::<u8>()), 1..12),
        length in 0_usize..=4 * CLUSTER,
    ) {
        let mut bytes = plain(version);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Ok(found) = found(&bytes[..length]) {
            prop_assert!(found.disk > 0);
            prop_assert!(bytes[8..20] == [0; 12], "a backing file");
        }
    }
}
