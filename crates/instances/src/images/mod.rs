//! Images: what disks are made of.

mod digest;
mod download;
mod format;
mod partial;
mod vault;

pub use digest::{Digest, NotADigest};
pub use format::NotAnImage;
pub use vault::{Image, Vault, VaultError};
