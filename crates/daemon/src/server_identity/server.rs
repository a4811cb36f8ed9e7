//! The server's certificate and key, made under the root and made again in good time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use durable::Readers;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use transport::tls::{Identity, SERVER_NAME};
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use super::{DAY, SERVER_FILE, ServerIdentityError, read, seconds, set_life, write};

/// The key of the server's certificate, by the name that the stock service gave it.
const SERVER_KEY_FILE: &str = "localhost_key.pem";
/// How long a server certificate is valid: the most that platforms accept (Apple, HT210176).
const SERVER_LIFE: Duration = DAY.saturating_mul(825);

pub(super) fn identity(
    directory: &Path,
    root: &str,
    root_key: &KeyPair,
    now: SystemTime,
) -> Result<Identity, ServerIdentityError> {
    let (certificate_path, key_path) = (directory.join(SERVER_FILE), directory.join(SERVER_KEY_FILE));
    if let (Some(certificate), Some(key)) = (read(&certificate_path)?, read(&key_path)?)
        && is_good(&certificate, root, root_key, now)
        && let Ok(identity) = Identity::from_pem(certificate.as_bytes(), key.as_bytes())
    {
        return Ok(identity);
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, now, SERVER_LIFE);
    let certificate = params.signed_by(&key, &Issuer::from_ca_cert_pem(root, root_key)?)?.pem();
    let key = Zeroizing::new(key.serialize_pem());
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
    // Whatever a crash leaves of the two does not fit together, and is made again at the next start.
    write(&key_path, key.as_bytes(), Readers::Owner)?;
    write(&certificate_path, certificate.as_bytes(), Readers::Owner)?;
    tracing::info!("made a new server certificate in {}", certificate_path.display());
    Ok(identity)
}

/// Whether a server certificate leads to the root, for our name, and has more than a third of its life
/// before it.
fn is_good(text: &str, root: &str, root_key: &KeyPair, now: SystemTime) -> bool {
    let (Ok((_, block)), Ok((_, root))) = (
        x509_parser::pem::parse_x509_pem(text.as_bytes()),
        x509_parser::pem::parse_x509_pem(root.as_bytes()),
    ) else {
        return false;
    };
    let (Ok(certificate), Ok(root)) = (block.parse_x509(), root.parse_x509()) else { return false };
    let spki = root_key.subject_public_key_info();
    let signed = x509_parser::prelude::FromDer::from_der(&spki)
        .is_ok_and(|(_, key)| certificate.verify_signature(Some(&key)).is_ok());
    let named = certificate.subject_alternative_name().is_ok_and(|names| {
        names.is_some_and(|names| names.value.general_names.contains(&GeneralName::DNSName(SERVER_NAME)))
    });
    let (start, end) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let renew_at = end - (end - start) / 3;
    signed
        && named
        && certificate.issuer().as_raw() == root.subject().as_raw()
        && (start..renew_at).contains(&seconds(now))
}
