//! What follows from who is trusted while the daemon runs: the trust file is read again when somebody has changed it,
//! tokens expire, the sockets' mode is what the store allows, and it is known who is connected. Who is trusted is
//! `auth-core`'s to decide, and what trusted clients may call is in `service`.

pub(crate) mod last_seen;
pub(crate) mod presence;
pub(crate) mod reload;
// Without Unix sockets there is nothing to guard.
#[cfg_attr(not(all(unix, feature = "unix")), path = "no_socket_gate.rs")]
pub(crate) mod socket_gate;
pub(crate) mod store_log;
pub(crate) mod token_expiry;
