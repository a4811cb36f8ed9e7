//! The user's terminal, and the streams of this process.

pub(crate) mod output;
pub(crate) mod pipes;
mod progress;
pub(crate) mod prompt;
pub(crate) mod text;

pub(crate) use progress::Progress;
