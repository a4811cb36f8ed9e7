//! The root: a key that is never replaced while it can be read, and its certificate, which clients pin.

use std::path::Path;
use std::time::{Duration, SystemTime};

use durable::Readers;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData};
use transport::tls::ROOT_NAME;
use zeroize::Zeroizing;

use super::takeover::published_in;
use super::{DAY, ServerIdentityError, read, seconds, set_life, write};

/// How long a root certificate is valid (the stock service's figure).
const ROOT_LIFE: Duration = DAY.saturating_mul(3650);
/// PEM as everything else here writes it, on every system.
const LINE_ENDING: pem::EncodeConfig = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);

pub(super) fn key(path: &Path, published: &Path) -> Result<KeyPair, ServerIdentityError> {
    if let Some(text) = read(path)? {
        return KeyPair::from_pem(&text)
            .map_err(|source| ServerIdentityError::RootKey { path: path.to_owned(), source });
    }
    let key = KeyPair::generate()?;
    write(path, Zeroizing::new(key.serialize_pem()).as_bytes(), Readers::Owner)?;
    if published.exists() {
        tracing::warn!(
            "the root key {} was missing, and a new one is made: clients must read {} again, and those who kept \
             a copy need the new one",
            path.display(),
            published.display()
        );
    } else {
        tracing::info!("made a new root key in {}", path.display());
    }
    Ok(key)
}

/// The root certificate in PEM: the daemon's private copy, or what it has published, whichever belongs
/// to the root key; a new one otherwise.
pub(super) fn certificate(
    private: &Path,
    published: &Path,
    key: &KeyPair,
    now: SystemTime,
) -> Result<String, ServerIdentityError> {
    for path in [private, published] {
        if let Some(root) = read(path)?.and_then(|text| certificate_in(&text, key, now)) {
            if path != private {
                write(private, root.as_bytes(), Readers::Owner)?;
            }
            return Ok(root);
        }
    }
    // A daemon that is not the machine's publishes elsewhere, and its data may be those of a stock service, which
    // publishes here whoever runs it. Of no consequence if it cannot be read.
    if let Some(root) =
        published_in(&transport::system_root_certificate()).and_then(|text| certificate_in(&text, key, now))
    {
        write(private, root.as_bytes(), Readers::Owner)?;
        return Ok(root);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, ROOT_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, ROOT_LIFE);
    let text = params.self_signed(key)?.pem();
    write(private, text.as_bytes(), Readers::Owner)?;
    Ok(text)
}

/// The root certificate in a text, if it is this key's own and still valid. What else the text holds is
/// left out.
pub(super) fn certificate_in(text: &str, key: &KeyPair, now: SystemTime) -> Option<String> {
    let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).ok()?;
    let root = block.parse_x509().ok()?;
    let good = root.is_ca()
        && root.public_key().raw == key.subject_public_key_info().as_slice()
        && root.verify_signature(None).is_ok()
        && root.validity().not_after.timestamp() > seconds(now);
    good.then(|| pem::encode_config(&pem::Pem::new("CERTIFICATE", block.contents.as_slice()), LINE_ENDING))
}
