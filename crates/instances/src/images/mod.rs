//! Images: what disks are made of.

mod digest;
mod format;

pub use digest::{Digest, NotADigest};
pub use format::NotAnImage;
