//! The judgement: who may use the service, and on what grounds.
//!
//! Synchronous and free of sockets, TLS and runtimes. Whoever calls it has already made sure that the
//! caller holds the private key of the certificate in [`Caller`]. What is slow (files, Argon2id) is
//! named *blocking*; [`Authority::admit`] never is.

mod audit;
mod authority;
mod caller;
mod certificate;
pub mod durable;
mod guessing;
mod passphrase;
pub mod private;
mod store;

pub use audit::{Actor, Audit, Entry, Event};
pub use authority::{
    Admission, Authenticated, Authority, Denied, Enrolled, FirstClientClaim, Gate, NoGate, SetPassphraseError,
};
pub use caller::{Caller, Channel, FirstClientRule, Source};
pub use certificate::{CertificateError, ClientCertificate, Fingerprint};
pub use passphrase::{HashError, Passphrase, PassphraseError, PassphraseHash};
pub use store::file::{Damage, FileStore, Stamp};
pub use store::memory::MemoryStore;
pub use store::{Condition, Enrolment, Outcome, StoreError, TrustStore};
