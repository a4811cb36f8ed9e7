//! Windows, as far as neither the standard library nor a safe crate reaches: who may use a file (`access`),
//! who runs this process, where services keep their data, and the console (`console`).
//!
//! On other systems this crate is empty. It knows nothing of what the files are for.
#![cfg(windows)]

pub mod access;
pub mod console;
mod system;

pub use system::{is_elevated, program_data, session_user};
