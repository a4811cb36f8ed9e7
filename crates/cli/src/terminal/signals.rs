//! The signals that ask this process to end.

use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::error::Error;
use crate::platform;

/// `SIGPIPE`, which ends who writes to what nobody reads. Its number is the same everywhere.
pub(crate) const SIGPIPE: u8 = 13;

/// The first of those signals that arrives; they are caught from the first wait on.
pub(crate) struct TerminationSignals(Pin<Box<dyn Future<Output = io::Result<u8>> + Send>>);

impl TerminationSignals {
    /// Of this process.
    pub(crate) fn of_process() -> Self {
        Self(Box::pin(platform::termination_signal()))
    }

    /// Waits for a signal, and returns its number. Cancel-safe; there is no second one.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub(crate) async fn received(&mut self) -> io::Result<u8> {
        (&mut self.0).await
    }

    /// What comes of `work`, unless a signal comes first. Then `work` is dropped, and with it all that it has to put
    /// back, such as the terminal's echo.
    ///
    /// # Errors
    /// Those of `work`, and the signal.
    pub(crate) async fn interrupt<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            // Signals first: they are caught before the work changes anything that has to be put back.
            biased;
            signal = self.received() => Err(signal.map_or_else(Error::Runtime, Error::Signal)),
            outcome = work => outcome,
        }
    }
}
