//! What the tests of images share.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use instances::ImageStore;

pub(crate) const LARGEST: u64 = 8 << 20;

/// A raw disk with a partition table, one of many kinds.
pub(crate) fn disk(kind: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[0] = kind;
    bytes[510] = 0x55;
    bytes[511] = 0xaa;
    bytes
}

pub(crate) fn store(root: &Path) -> Arc<ImageStore> {
    Arc::new(ImageStore::open(root, LARGEST).unwrap())
}

/// What is in a directory.
pub(crate) fn files(root: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(root).unwrap().map(name).collect();
    names.sort();
    names
}
