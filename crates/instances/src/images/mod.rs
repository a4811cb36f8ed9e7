//! Images: what disks are made of.

mod digest;
mod download;
mod format;
mod partial;
mod store;

pub use digest::{Digest, NotADigest};
pub use format::NotAnImage;
pub use store::{Image, ImageStore, ImageStoreError};
