//! SFTP with OpenSSH's server, and with servers that answer as they should not.

mod hostile;
#[cfg(unix)]
mod openssh;
