//! The judgement: who may use the service, and on what grounds.
//!
//! Synchronous and free of sockets, TLS and runtimes. Whoever calls it has already made sure that the
//! caller holds the private key of the certificate in [`Caller`]. What is slow (files, Argon2id) is
//! named *blocking*; [`Authority::admit`] never is.

mod administration;
mod audit;
mod authority;
mod caller;
mod certificate;
mod client_name;
mod commit;
mod guessing;
mod hex;
mod level;
mod passphrase;
mod recovery;
mod stock;
mod store;
mod takeover;
#[cfg(feature = "testkit")]
pub mod testkit;
mod token;
mod tokens;

pub use administration::{Added, Administrator, ChangeError};
pub use audit::{Actor, Audit, Entry, Event};
pub use authority::{Admission, Authenticated, Authority, Denied, Enrolled, FirstClientClaim, Gate, Guess};
pub use caller::{Caller, Channel, FirstClientRule, Source};
pub use certificate::{CertificateError, ClientCertificate, Fingerprint, NotAFingerprint};
pub use client_name::{ClientName, NotAClientName};
pub use level::{Level, NotALevel};
pub use passphrase::{HashError, Passphrase, PassphraseError, PassphraseHash};
pub use recovery::Recovery;
pub use stock::{StockClients, StockSettingsError, stock_passphrase};
pub use store::file::{FileStore, Notice};
pub use store::files::{Damage, Stamp};
pub use store::takeover::TakeOver;
pub use store::{Change, Condition, Enrolment, Outcome, StoreError, TrustStore, TrustedClient};
pub use takeover::{ClientsTaken, Migration};
pub use token::{
    InvalidToken, Moment, NotATokenId, NotATokenLife, Token, TokenHash, TokenId, TokenLife, TokenSecret,
};
pub use tokens::{NewToken, PresentedToken};
