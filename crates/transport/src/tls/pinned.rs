//! The client's check of the server's certificate: it must lead to the one pinned root.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::{Pin, RootCertificate, RootFingerprint, provider};

/// So many certificates after a server's own are looked at. Ours presents one; some hundred would fit into a
/// handshake.
const MOST_PRESENTED: usize = 8;

/// Whether a server certificate's dates count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateDates {
    /// They do, as everywhere.
    Enforced,
    /// They do not: the server is on this machine, both sides have the same clock, and the root is
    /// pinned. A clock that is wrong, or a certificate not renewed in time, would lock every client out
    /// and protect none.
    Ignored,
}

/// Why a server is not known by a fingerprint. What it presented is public, and nothing in it is proven yet: it
/// may have presented another's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PinError {
    /// The server's certificate is in order under a root that is not pinned.
    #[error("the server presents a root that is not pinned, with the fingerprint {0}")]
    UnverifiedRoot(RootFingerprint),
    /// The server presented no root, which there has to be for a fingerprint to be compared with.
    #[error("the server presents no root certificate, and cannot be known by a fingerprint")]
    NoRoot,
}

impl PinError {
    /// The one that a verifier's reason carries.
    pub(crate) fn within(reason: &CertificateError) -> Option<&Self> {
        let CertificateError::Other(OtherError(reason)) = reason else { return None };
        reason.downcast_ref()
    }
}

impl From<PinError> for Error {
    fn from(unpinned: PinError) -> Self {
        CertificateError::Other(OtherError(Arc::new(unpinned))).into()
    }
}

/// Why a server's certificate was refused in the last handshake that refused one.
#[derive(Clone, Debug, Default)]
pub struct Verdict(Arc<Mutex<Option<Error>>>);

impl Verdict {
    /// The reason, if there was such a handshake.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn of<T>(&self, judged: Result<T, Error>) -> Result<T, Error> {
        judged.inspect_err(|fault| {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
        })
    }
}

/// From when until when a certificate is valid, as it says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

/// The validity of the certificate that a server presented in the last handshake that came so far. It is told also
/// of one that was refused, and then nothing vouches for it: it is for a person to read.
#[derive(Clone, Debug, Default)]
pub struct PresentedValidity(Arc<Mutex<Option<Validity>>>);

impl PresentedValidity {
    /// The validity, if there was such a handshake, and if its certificate could be read.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, certificate: &CertificateDer<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = validity_of(certificate).ok();
    }
}

/// Verifies as webpki does, under one root, by the dates or without them.
#[derive(Clone, Debug)]
pub(super) struct PinnedRoot {
    /// Without one, no server is trusted.
    pin: Option<Pin>,
    dates: CertificateDates,
    algorithms: WebPkiSupportedAlgorithms,
    verdict: Verdict,
    presented: Option<PresentedValidity>,
}

impl PinnedRoot {
    pub(super) fn new(pin: Option<Pin>, dates: CertificateDates) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { pin, dates, algorithms, verdict: Verdict::default(), presented: None }
    }

    /// The same, which tells its verdict there.
    pub(super) fn telling(&self, verdict: Verdict) -> Self {
        Self { verdict, ..self.clone() }
    }

    /// The same, which notes there what a server presents.
    pub(super) fn showing(&self, presented: PresentedValidity) -> Self {
        Self { presented: Some(presented), ..self.clone() }
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let at = match self.dates {
            CertificateDates::Enforced => now,
            CertificateDates::Ignored => start_of(end_entity)?,
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let presented = intermediates.get(..MOST_PRESENTED).unwrap_or(intermediates);
        let leads_to = |root: &RootCertificate| {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, root.store(), presented, at, algorithms)?;
            verify_server_name(&certificate, server_name)
        };
        match &self.pin {
            Some(Pin::Certificate(root)) => leads_to(root),
            Some(Pin::Fingerprint(pinned)) => find_root(presented, Some(*pinned), leads_to),
            None => find_root(presented, None, leads_to),
        }
    }
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(presented) = &self.presented {
            presented.note(end_entity);
        }
        let judged = self.judge(end_entity, intermediates, server_name, now);
        self.verdict.of(judged).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verdict.of(verify_tls12_signature(message, certificate, signed, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verdict.of(verify_tls13_signature(message, certificate, signed, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Succeeds if the server's certificate leads to a root with the pinned fingerprint among those presented. Such
/// a root may say what it likes, as its key is all that is known of it; under another key, there is nothing to
/// verify.
fn find_root(
    presented: &[CertificateDer<'_>],
    pinned: Option<RootFingerprint>,
    leads_to: impl Fn(&RootCertificate) -> Result<(), Error>,
) -> Result<(), Error> {
    // The root is the last one (RFC 8446, 4.4.2).
    let roots = presented.iter().rev().filter_map(root_of);
    let (right, others): (Vec<_>, Vec<_>) = roots.partition(|root| Some(root.fingerprint()) == pinned);
    let mut fault = PinError::NoRoot.into();
    for root in if right.is_empty() { others } else { right } {
        match leads_to(&root) {
            Ok(()) if Some(root.fingerprint()) == pinned => return Ok(()),
            Ok(()) => return Err(PinError::UnverifiedRoot(root.fingerprint()).into()),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

/// A certificate that was presented, if it is one of an authority. A server's own is none: a pin of it would hold
/// until it is renewed, and then lock its clients out.
fn root_of(presented: &CertificateDer<'_>) -> Option<RootCertificate> {
    let (_, certificate) = x509_parser::parse_x509_certificate(presented).ok()?;
    if !certificate.is_ca() {
        return None;
    }
    RootCertificate::from_der(presented.clone().into_owned()).ok()
}

/// The moment from which a certificate is valid: a time at which its dates are in order.
fn start_of(certificate: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    let since = validity_of(certificate)?.not_before.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(UnixTime::since_unix_epoch(since))
}

/// The dates in a certificate. What is before 1970, or later than the system can tell, is 1970.
fn validity_of(certificate: &CertificateDer<'_>) -> Result<Validity, Error> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let moment = |seconds: i64| {
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        UNIX_EPOCH.checked_add(seconds).unwrap_or(UNIX_EPOCH)
    };
    let validity = certificate.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    Ok(Validity { not_before: moment(not_before), not_after: moment(not_after) })
}
