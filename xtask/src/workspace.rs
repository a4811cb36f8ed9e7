//! Where this workspace is and what is in it, as `cargo metadata` tells it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace that the current folder is in.
#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo. Without the dependencies, so that it needs no network and no lock file.
    ///
    /// # Errors
    /// Where cargo does not run, or cannot read a manifest.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cannot read the workspace")?;
        Ok(Self { metadata })
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// A path in cargo's target folder, wherever that is configured to be.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.metadata.target_directory.as_std_path().join(name)
    }

    /// All that cargo says; the dependencies' own packages are left out.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}
