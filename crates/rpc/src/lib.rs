//! The stock Multipass service on the wire: messages, enums and a client, generated from
//! `proto/multipass.proto`; and, in [`instances`] and [`trust`], our own services beside it.
//!
//! It is the contract with deployed clients and daemons and nothing more. It does not connect, serve, decide
//! who may call or say what a call does; there is no generated server, because the daemon routes methods by
//! its own table, which it compares with [`SERVICES`]. The client, [`rpc_client::RpcClient`], speaks over any
//! [`tonic::client::GrpcService`].
//!
//! Two calls need care: `delet` is spelt so, and `clone` is called as `RpcClient::clone(&mut client, …)`,
//! because `client.clone()` copies the client.
//!
//! Messages that carry secrets print them as `[redacted]`, and [`AuthenticateRequest`], [`SetRequest`],
//! [`instances::Access`] and those of [`trust`] wipe theirs when they are dropped. The buffers that tonic and prost copy
//! them through are not wiped.

mod generated {
    #![allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery)]

    include!(concat!(env!("OUT_DIR"), "/multipass.rs"));
    include!(concat!(env!("OUT_DIR"), "/multipass.methods.rs"));
    include!(concat!(env!("OUT_DIR"), "/services.rs"));
}
/// Our own service, generated from `proto/instances.proto`: ways into instances. The stock programs do not know it.
pub mod instances {
    mod generated {
        #![allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery)]

        include!(concat!(env!("OUT_DIR"), "/multipass.instances.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/multipass.instances.v1.methods.rs"));
    }

    pub use generated::*;

    /// Full name of the service.
    pub const SERVICE: &str = "multipass.instances.v1.Instances";
}
/// Our own service, generated from `proto/trust.proto`: who may use the service, and the ways back from a
/// lockout. The stock programs do not know it.
pub mod trust {
    mod generated {
        #![allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery)]

        include!(concat!(env!("OUT_DIR"), "/multipass.trust.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/multipass.trust.v1.methods.rs"));
    }

    pub use generated::*;

    /// Full name of the service.
    pub const SERVICE: &str = "multipass.trust.v1.Trust";

    /// Whether a text begins as that of a token does, of this form or a later one: `mpt`, digits and `_`, in either
    /// case. Such a text is no passphrase: clients would not send it as one.
    #[must_use]
    pub fn begins_like_token(text: &str) -> bool {
        let (beginning, rest) = text.trim_start().split_at_checked("mpt".len()).unwrap_or_default();
        let form = rest.split_once('_').map_or("", |(form, _)| form);
        beginning.eq_ignore_ascii_case("mpt")
            && !form.is_empty()
            && form.bytes().all(|digit| digit.is_ascii_digit())
    }
}
mod redacted;
mod secret;

pub use generated::*;

/// Full name of the service; the path of a method is `/multipass.Rpc/` and its name.
pub const SERVICE: &str = "multipass.Rpc";
