//! What users and administrators meet: the real `multipass` and `multipassd`, as real users and groups.
//!
//! Each test has a sandbox of its own and runs beside the others. What is expected is typed from the documented
//! behaviour, never recorded. Races inside the daemon, odd peers and damaged bytes are the crates' own tests.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod access;
mod accounts;
mod audit;
#[cfg(target_os = "linux")] // Where a full queue keeps silent.
mod bad_networks;
mod clients;
mod clients_of_users;
mod command_line;
mod completions;
mod crash;
mod daemon_command_line;
mod dialling;
mod doctor;
mod first_client;
#[cfg(target_os = "linux")]
mod flood;
mod guessing;
mod help;
mod identity;
mod in_instances;
mod installer;
mod instances;
mod interop;
mod levels;
mod lifecycle;
mod lockouts;
mod network;
#[cfg(target_os = "linux")]
mod other_machines;
mod over_each_transport;
mod passphrase_input;
mod peer;
mod places;
mod pty;
mod python;
mod recorder;
mod recover;
mod reload;
#[cfg(target_os = "linux")]
mod remotes;
mod revocation;
mod secrecy;
mod settings;
mod shares;
mod states;
mod stock_directory;
#[cfg(target_os = "linux")]
mod strangers;
mod support;
mod terminal;
mod token_text;
mod tokens;
mod trust_file;
mod unreachable;
mod version;
mod virtual_machines;
mod wait_ready;
mod wrong_server;
