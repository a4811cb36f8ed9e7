//! SSH to a guest: key pairs, and sessions with a host whose key is known beforehand: commands, and files
//! over SFTP.
//!
//! It is given a stream that leads to the guest, and does not know where that comes from. Deadlines are the
//! caller's: every future here may be dropped.

mod keys;
mod process;
mod rsa;
mod session;
mod severable;
pub mod sftp;

pub use keys::{ClientKey, HostKey, KeyError, KeyPair};
pub use process::{ExitStatus, Input, Output, OutputChunk, Signal, Terminal, TerminalSize};
pub use session::{FinishedCommand, Session, SessionError};
