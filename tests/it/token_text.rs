//! Tokens taken apart and put together by the test's own hands, from the description of their text.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::support::hex;

const PREFIX: &str = "mpt1_";

/// What is in a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) secret: [u8; 16],
    pub(crate) root: [u8; 32],
    pub(crate) addresses: Vec<String>,
}

impl Parts {
    pub(crate) fn of(text: &str) -> Self {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).expect(text)).expect(text);
        let mut addresses = Vec::new();
        let mut rest = &bytes[49..bytes.len() - 4];
        while let [length, after @ ..] = rest {
            let (address, after) = after.split_at((*length).into());
            addresses.push(String::from_utf8(address.to_vec()).expect("text"));
            rest = after;
        }
        assert_eq!(addresses.len(), usize::from(bytes[48]));
        let found = Self {
            secret: bytes[..16].try_into().expect("its length"),
            root: bytes[16..48].try_into().expect("its length"),
            addresses,
        };
        assert_eq!(found.text(), text);
        found
    }

    pub(crate) fn text(&self) -> String {
        let count = u8::try_from(self.addresses.len()).expect("a few");
        let mut bytes = [&self.secret[..], &self.root, &[count]].concat();
        for address in &self.addresses {
            bytes.push(u8::try_from(address.len()).expect("a short one"));
            bytes.extend(address.as_bytes());
        }
        let checksum = Sha256::new().chain_update(PREFIX).chain_update(&bytes).finalize();
        bytes.extend(&checksum[..4]);
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The secret as it is on the wire.
    pub(crate) fn secret_digits(&self) -> String {
        hex(&self.secret)
    }

    pub(crate) fn root_digits(&self) -> String {
        hex(&self.root)
    }
}
