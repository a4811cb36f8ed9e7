//! Many clients: certificates that are one certificate with other bytes at the end of its signature, which
//! nobody checks.

use anyhow::Context;

/// `count` certificates in DER, each different, of which `der` itself is the last.
///
/// # Errors
/// `der` is too short to be a certificate.
pub fn clients(mut der: Vec<u8>, count: u64) -> anyhow::Result<impl Iterator<Item = Vec<u8>>> {
    let last = der.clone();
    der.last_chunk_mut::<8>().context("the certificate is too short")?;
    let others = (1..count).map(move |number| {
        if let Some(signature) = der.last_chunk_mut() {
            *signature = number.to_be_bytes();
        }
        der.clone()
    });
    Ok(others.chain([last]))
}

/// A certificate's PEM block, as the daemon writes it.
#[must_use]
pub fn block(der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), config)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn clients_are_many_and_all_different() {
        let made: HashSet<Vec<u8>> = clients(vec![7; 20], 300).unwrap().collect();
        assert_eq!(made.len(), 300);
        assert!(made.contains(&vec![7; 20]));
        assert!(clients(vec![7; 7], 3).is_err());
    }
}
