//! Windows, as far as neither the standard library nor a safe crate reaches: who may use a file (`access`),
//! who runs this process, where services keep their data, and the console (`console`).
//!
//! On other systems there is only how it is decided who may use a file (`verdict`). It knows nothing of what the files
//! are for.

#[cfg(windows)]
pub mod access;
#[cfg(windows)]
pub mod console;
#[cfg(windows)]
mod system;
pub mod verdict;

#[cfg(windows)]
pub use system::{is_elevated, program_data, session_user};
