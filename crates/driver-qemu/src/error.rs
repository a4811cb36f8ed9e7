//! Errors of this driver's parts, as errors of the driver.

use std::error::Error;
use std::io;

use instances::DriverError;

/// Says what could not be done.
pub(crate) fn failed<E: Into<Box<dyn Error + Send + Sync>>>(what: &str) -> impl FnOnce(E) -> DriverError {
    move |source| DriverError::Failed { what: what.to_owned(), source: source.into() }
}

/// The same for what is done to files: that the disk is full is an error of its own.
pub(crate) fn failed_io(what: &str) -> impl FnOnce(io::Error) -> DriverError {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DriverError::NoSpace(error),
        _ => failed(what)(error),
    }
}

/// Does what waits for files, where waiting holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DriverError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(failed_io(what)),
        Err(panicked) => Err(failed(what)(panicked)),
    }
}
