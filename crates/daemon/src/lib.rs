//! The Multipass daemon: it composes transports, judgement and service.
//!
//! One direction: a transport delivers a peer, [`serve`](serve()) completes its handshake, [`Service`]
//! asks the authority about every call and hands it to a handler. The library exists so that tests can
//! drive the service with a store and a transport of their own; the program is `main.rs`.

pub mod audit;
pub mod config;
#[cfg_attr(not(all(unix, feature = "qemu")), path = "no_driver.rs")]
mod driver;
pub mod fingerprint;
// Without Unix sockets there is nothing to guard.
#[cfg_attr(not(all(unix, feature = "unix")), path = "no_gate.rs")]
mod gate;
pub mod installer;
#[cfg(unix)]
#[cfg(test)]
mod launchd;
pub mod logging;
pub mod machines;
#[cfg(feature = "man")]
pub mod man;
pub mod migrate;
mod notices;
#[cfg(unix)]
pub mod open_file;
pub mod platform;
mod presence;
pub mod recover;
mod reload;
pub mod run;
mod serve;
pub mod server_identity;
mod service;
mod shares;
mod stock;
pub mod stop_machines;
mod strangers;
mod tokens;
mod transports;
mod tunnels;

pub use serve::serve;
pub use service::Service;
