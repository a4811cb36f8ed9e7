//! The Multipass daemon: it composes transports, judgement and service.
//!
//! One direction: a transport delivers a peer, [`serve`](serve()) completes its handshake, [`Service`]
//! asks the authority about every call and hands it to a handler. Which module may use which is in `ARCHITECTURE.md`.
//! The library exists so that tests can drive the service with a store and a transport of their own; the program is
//! `main.rs`.

pub mod audit;
pub mod commands;
pub mod config;
mod connections;
pub mod data_directory;
mod limits;
pub mod logging;
pub mod machines;
#[cfg(unix)]
pub mod open_file;
pub mod platform;
pub mod run;
pub mod server_identity;
mod service;
mod stock;
mod timestamp;
mod trust;

pub use connections::serve;
pub use service::Service;
