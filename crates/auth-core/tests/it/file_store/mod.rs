//! The store on disk: what it makes of files that others wrote, and what is left after each failure.

#[cfg(unix)]
mod access;
mod failures;
mod first_client;
#[cfg(target_os = "linux")]
mod full_disk;
mod text;

use std::collections::BTreeMap;
use std::fs;

use auth_core::ClientCertificate;

use crate::support::Data;

/// A block whose second half was never written.
fn torn(certificate: &ClientCertificate) -> String {
    let pem = certificate.to_pem();
    pem[..pem.len() / 2].to_owned()
}

/// A block in which one letter cannot be.
fn garbled(certificate: &ClientCertificate) -> String {
    certificate.to_pem().replacen("MII", "M!I", 1).trim_end().to_owned()
}

/// All files in the store's directory.
fn contents(data: &Data) -> BTreeMap<String, Vec<u8>> {
    let names = data.names().into_iter();
    names.map(|name| (name.clone(), fs::read(data.directory().join(name)).unwrap_or_default())).collect()
}
