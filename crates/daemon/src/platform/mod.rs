//! What differs between operating systems: directories, users, signals, the process itself, who manages services. What is
//! done with these is decided elsewhere.

mod directories;
mod process;
mod service_manager;
mod signals;
mod users;
#[cfg(windows)]
pub mod windows_service;

pub use directories::{Directories, NoDirectory, default_endpoint, system_config_file};
pub use process::{keep_memory_private, raise_descriptor_limit};
pub use service_manager::{Stage, notify_manager};
pub use signals::{Hangups, StopRequests};
pub use users::{ServiceScope, admin_group, is_system_service, own_uid, service_scope};

/// A line for a shell that sets a variable.
#[must_use]
pub fn shell_setting(variable: &str, value: &str) -> String {
    if cfg!(windows) {
        return format!("$env:{variable} = '{}'", value.replace('\'', "''"));
    }
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte));
    let quoted = if plain { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) };
    format!("export {variable}={quoted}")
}
