//! The root certificate in a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use transport::Endpoint;
use transport::tls::RootCertificate;

use crate::error::Error;

/// Larger files hold no root certificate.
const MAX_ROOT_CERTIFICATE: u64 = 1024 * 1024;

/// The root certificate in `path`, of the service at `endpoint`.
///
/// # Errors
/// There is none that can be read.
pub(super) fn load(path: &Path, endpoint: &Endpoint) -> Result<RootCertificate, Error> {
    let path = path.to_owned();
    match read_bounded(&path) {
        Ok(text) => {
            RootCertificate::from_pem(&text).map_err(|source| Error::RootCertificateInvalid { path, source })
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(match endpoint {
            // A service that has never run has left neither: that it does not run is then what the user
            // needs to hear.
            Endpoint::Unix(socket) if !socket.exists() => {
                Error::NoService { endpoint: endpoint.clone(), source }
            }
            _ => Error::RootCertificateMissing { path },
        }),
        Err(source) => Err(Error::RootCertificateUnreadable { path, source }),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_ROOT_CERTIFICATE).read_to_end(&mut content)?;
    Ok(content)
}
