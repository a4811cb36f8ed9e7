//! How large a disk an image holds.

use std::fs::File;
use std::io::{self, Read};

use instances::ImageFormat;

const QCOW2_MAGIC: &[u8; 4] = b"QFI\xfb";
/// Where the header of a qcow2 image has the size of the disk: 8 bytes, the most significant first.
const SIZE: std::ops::Range<usize> = 24..32;

/// The size of the disk in an image, in bytes.
///
/// # Errors
/// It cannot be read, or is not of this format.
pub(crate) fn disk_size(image: &mut File, format: ImageFormat) -> io::Result<u64> {
    if format == ImageFormat::Raw {
        return Ok(image.metadata()?.len());
    }
    let mut header = [0; SIZE.end];
    image.read_exact(&mut header)?;
    let size = header.get(SIZE).and_then(|size| <[u8; 8]>::try_from(size).ok());
    match size {
        Some(size) if header.starts_with(QCOW2_MAGIC) => Ok(u64::from_be_bytes(size)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a qcow2 image")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn the_size_is_the_disks_not_the_files() {
        let mut header = [0; 104];
        header[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        header[24..32].copy_from_slice(&(5_u64 << 30).to_be_bytes());
        assert_eq!(disk_size(&mut file(&header), ImageFormat::Qcow2).unwrap(), 5 << 30);
        assert_eq!(disk_size(&mut file(&header), ImageFormat::Raw).unwrap(), 104);
        for bad in [&b"QFI\xfb"[..], &[0; 104], b""] {
            assert!(disk_size(&mut file(bad), ImageFormat::Qcow2).is_err(), "{bad:?}");
        }
    }
}
