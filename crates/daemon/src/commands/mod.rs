//! What `multipassd` does instead of running the service: one file for each command, which does its work and returns
//! what is said on standard output. No command talks to a daemon that runs; they share its files, and its locks.

pub mod fingerprint;
pub mod installer;
#[cfg(feature = "man")]
pub mod man;
pub mod migrate;
pub mod recover;
#[cfg(windows)]
pub mod run_service;
pub mod stop_machines;
