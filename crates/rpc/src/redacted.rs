//! `Debug` of the messages that carry secrets.
//!
//! A secret prints as `[redacted]` whatever it holds: neither its length nor whether it is empty shows.
//! Every message is taken apart in full, so that a new field cannot be forgotten here.

use std::fmt::{self, Debug, Formatter};

use crate::generated::{
    AuthenticateRequest, GetReply, LaunchRequest, MountRequest, RestartRequest, SetRequest, SshInfo,
    StartRequest,
};
use crate::instances::Access;
use crate::trust::{CreateTokenReply, RedeemTokenRequest, SetPassphraseRequest};

struct Redacted;

impl Debug for Redacted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Names every field of a message once: those to show, then those to redact.
macro_rules! redacted_debug {
    ($message:ident { $($shown:ident),* } redacted { $($secret:ident),+ }) => {
        impl Debug for $message {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                let Self { $($shown,)* $($secret: _,)+ } = self;
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($secret), &Redacted))+
                    .finish()
            }
        }
    };
}

redacted_debug!(AuthenticateRequest { verbosity_level } redacted { passphrase });

// The stock daemon answers `get local.passphrase` with the hash.
redacted_debug!(GetReply { log_line } redacted { value });

// Cloud-init user data often holds passwords and keys.
redacted_debug!(LaunchRequest {
    instance_name, image, kernel_name, num_cores, mem_size, disk_space, time_zone, remote_name,
    verbosity_level, network_options, permission_to_bridge, timeout, zone
} redacted { cloud_init_user_data, password });

redacted_debug!(MountRequest {
    source_path, target_paths, mount_maps, verbosity_level, mount_type
} redacted { password });

redacted_debug!(RestartRequest { instance_names, verbosity_level, timeout } redacted { password });

redacted_debug!(SetRequest { key, verbosity_level, authorized } redacted { val });

redacted_debug!(SshInfo { port, host, username } redacted { priv_key_base64 });

redacted_debug!(StartRequest { instance_names, verbosity_level, timeout } redacted { password });

redacted_debug!(Access { user_name, host_key } redacted { private_key });

redacted_debug!(SetPassphraseRequest {} redacted { passphrase });

redacted_debug!(CreateTokenReply { id, expires, addresses, root_fingerprint } redacted { secret });

redacted_debug!(RedeemTokenRequest {} redacted { secret });
