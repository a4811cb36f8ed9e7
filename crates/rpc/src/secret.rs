//! Wiping of the messages that carry a passphrase, a token or a key.
//!
//! They implement `Drop`, so a request that is refused before anyone looks at it is wiped too. The price:
//! they cannot be taken apart by move nor built with `..Default::default()`. The longer messages with a
//! password are not worth that price; they are redacted only.

use std::mem;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::generated::{AuthenticateRequest, SetRequest};
use crate::instances::Access;
use crate::trust::{CreateTokenReply, RedeemTokenRequest, SetPassphraseRequest};

impl AuthenticateRequest {
    /// Moves the passphrase out and leaves an empty one behind; the bytes are not copied.
    pub fn take_passphrase(&mut self) -> Zeroizing<String> {
        Zeroizing::new(mem::take(&mut self.passphrase))
    }
}

impl Drop for AuthenticateRequest {
    fn drop(&mut self) {
        self.passphrase.zeroize();
    }
}

impl ZeroizeOnDrop for AuthenticateRequest {}

impl SetRequest {
    /// Moves the value out and leaves an empty one behind; the bytes are not copied. It is the passphrase
    /// as typed when the key is `local.passphrase`.
    pub fn take_val(&mut self) -> Zeroizing<String> {
        Zeroizing::new(mem::take(&mut self.val))
    }
}

impl Drop for SetRequest {
    fn drop(&mut self) {
        self.val.zeroize();
    }
}

impl ZeroizeOnDrop for SetRequest {}

impl SetPassphraseRequest {
    /// Moves the passphrase out and leaves an empty one behind; the bytes are not copied.
    pub fn take_passphrase(&mut self) -> Zeroizing<String> {
        Zeroizing::new(mem::take(&mut self.passphrase))
    }
}

impl Drop for SetPassphraseRequest {
    fn drop(&mut self) {
        self.passphrase.zeroize();
    }
}

impl ZeroizeOnDrop for SetPassphraseRequest {}

impl Access {
    /// Moves the private key out and leaves an empty one behind; the bytes are not copied.
    pub fn take_private_key(&mut self) -> Zeroizing<String> {
        Zeroizing::new(mem::take(&mut self.private_key))
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.private_key.zeroize();
    }
}

impl ZeroizeOnDrop for Access {}

impl CreateTokenReply {
    /// Moves the token's secret out and leaves an empty one behind; the bytes are not copied.
    pub fn take_secret(&mut self) -> Zeroizing<String> {
        Zeroizing::new(mem::take(&mut self.secret))
    }
}

impl Drop for CreateTokenReply {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for CreateTokenReply {}

impl RedeemTokenRequest {
    /// Moves the token's secret out and leaves an empty one behind; the bytes are not copied.
    pub fn take_secret(&mut self) -> Zeroizing<String> {
        Zeroizing::new(mem::take(&mut self.secret))
    }
}

impl Drop for RedeemTokenRequest {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for RedeemTokenRequest {}
