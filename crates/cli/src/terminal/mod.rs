//! The user's terminal, and the standard streams of this process: what is asked, read and shown.
//!
//! It knows the platform alone, and not what is said.

pub(crate) mod input;
pub(crate) mod output;
mod progress;
pub(crate) mod prompt;
mod secret;
mod signals;
pub(crate) mod stdio;
pub(crate) mod text;

pub(crate) use input::InputFile;
pub(crate) use progress::Progress;
pub(crate) use secret::Secret;
pub(crate) use signals::{SIGPIPE, TerminationSignals};
