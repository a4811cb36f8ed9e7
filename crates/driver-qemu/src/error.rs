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

/// What a program of QEMU's says, with what helps against it, where that is known.
pub(crate) fn with_what_helps(said: String) -> String {
    const KNOWN: [(&str, &str); 3] = [
        ("cannot set up guest memory", "give it less, with --memory or 'multipass set local.<name>.memory'"),
        ("Invalid SMP CPUs", "give it fewer, with --cpus or 'multipass set local.<name>.cpus'"),
        ("image size is too large", "give it a smaller disk, with --disk"),
    ];
    match KNOWN.iter().find(|(words, _)| said.contains(words)) {
        Some((_, what_helps)) => format!("{said}; {what_helps}"),
        None => said,
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
