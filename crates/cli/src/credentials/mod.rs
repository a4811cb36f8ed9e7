//! What lets this user in at a service: the client certificate and its key, a passphrase, or a token.
//!
//! Nothing is sent from here, and no service is known here.

pub(crate) mod fingerprint;
mod hex;
mod identity;
pub(crate) mod passphrase;
pub(crate) mod token;

pub(crate) use identity::{IdentityStore, IdentityStoreError};
pub(crate) use token::Token;
