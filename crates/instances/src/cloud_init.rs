//! What a guest is told when it first starts: cloud-init's `NoCloud` seed.
//!
//! What the user wants and what the service wants stay apart, so that cloud-init merges them by its own rules,
//! in which the user's come first. The key that lets the service in is metadata too, which no `cloud-config`
//! takes back.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::de::IgnoredAny;
use thiserror::Error;

use crate::ssh_keys::KeyPair;
use crate::{InstanceId, InstanceName, Seed};

/// What a `cloud-config` begins with.
const MARK: &str = "#cloud-config";
/// The most bytes of one: it goes into a small file system.
const LONGEST: usize = 256 * 1024;

/// What the user wants of the guest: a `cloud-config`, checked as far as that goes without a guest.
#[derive(Debug, Default)]
pub struct UserData(SecretString);

/// Why text is no `cloud-config` that can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserDataError {
    /// It is too long.
    #[error("the cloud-init file has more than {LONGEST} bytes; have the guest fetch what is large")]
    TooLong,
    /// It is no YAML, or no mapping.
    #[error("the cloud-init file is not a YAML mapping, as a #cloud-config is one: {0}")]
    NotAMapping(String),
    /// It sets what the service must set.
    #[error(
        "the cloud-init file sets {0}, which the service sets itself: it knows the guest by its host keys. Remove that key"
    )]
    Reserved(&'static str),
}

impl UserData {
    /// Checks a `cloud-config`, with or without its first line. Nothing at all is one too.
    ///
    /// # Errors
    /// It is no YAML mapping, too long, or sets what the service must set.
    pub fn new(text: &str) -> Result<Self, UserDataError> {
        if text.len() > LONGEST {
            return Err(UserDataError::TooLong);
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // A document of nothing but comments is no mapping, and harmless.
        let mapping: Option<BTreeMap<String, IgnoredAny>> = serde_saphyr::from_str(text)
            // What it quotes may be secret: only where and what it is.
            .map_err(|error| UserDataError::NotAMapping(first_line(&error.to_string())))?;
        if mapping.is_some_and(|mapping| mapping.contains_key("ssh_keys")) {
            return Err(UserDataError::Reserved("ssh_keys"));
        }
        let has_mark = text.lines().next().is_some_and(|line| line.trim_end() == MARK);
        let text = if has_mark { text.to_owned() } else { format!("{MARK}\n{text}") };
        Ok(Self(text.into()))
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().escape_debug().to_string()
}

/// What is written into the seed of an instance.
pub(crate) fn seed(
    id: InstanceId,
    name: &InstanceName,
    host_key: &KeyPair,
    client_key: &str,
    user_data: UserData,
) -> Seed {
    let meta_data =
        format!("instance-id: {id}\nlocal-hostname: {name}\npublic-keys:\n  - {client_key} multipass\n");
    let private: String = host_key.private.0.lines().map(|line| format!("    {line}\n")).collect();
    let vendor_data = format!(
        "{MARK}\n\
         system_info:\n  default_user:\n    name: ubuntu\n\
         ssh_authorized_keys:\n  - {client_key} multipass\n\
         ssh_deletekeys: true\n\
         ssh_keys:\n  ed25519_public: {}\n  ed25519_private: |\n{private}\
         manage_etc_hosts: true\n\
         growpart:\n  mode: auto\n  devices: [/]\n",
        host_key.public
    );
    let UserData(text) = user_data;
    let user_data = if is_empty(&text) { format!("{MARK}\n").into() } else { text };
    Seed { meta_data, user_data, vendor_data: vendor_data.into() }
}

fn is_empty(text: &SecretString) -> bool {
    use secrecy::ExposeSecret;

    text.expose_secret().is_empty()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::Value;

    use super::*;

    fn seed_of(text: &str) -> (KeyPair, Seed) {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        let host_key = KeyPair::generate().unwrap();
        let user_data = UserData::new(text).unwrap();
        let seed = seed(id, &"web".parse().unwrap(), &host_key, "ssh-ed25519 CLIENT", user_data);
        (host_key, seed)
    }

    #[test]
    fn a_guest_is_told_who_it_is_and_who_may_come_in() {
        let (host_key, seed) = seed_of("");
        let meta: Value = serde_saphyr::from_str(&seed.meta_data).unwrap();
        assert_eq!(meta["instance-id"], "67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(meta["local-hostname"], "web");
        assert_eq!(meta["public-keys"][0], "ssh-ed25519 CLIENT multipass");
        let vendor = seed.vendor_data.expose_secret();
        assert!(vendor.starts_with("#cloud-config\n"), "{vendor}");
        let vendor: Value = serde_saphyr::from_str(vendor).unwrap();
        assert_eq!(vendor["system_info"]["default_user"]["name"], "ubuntu");
        assert_eq!(vendor["ssh_authorized_keys"][0], "ssh-ed25519 CLIENT multipass");
        assert_eq!(vendor["ssh_keys"]["ed25519_public"], host_key.public.as_str());
        assert_eq!(vendor["ssh_keys"]["ed25519_private"], host_key.private.0.as_str());
        assert_eq!(seed.user_data.expose_secret(), "#cloud-config\n");
        assert!(!format!("{seed:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_the_user_wants_is_passed_on_as_it_is() {
        for (given, expected) in [
            ("packages: [vim]\n", "#cloud-config\npackages: [vim]\n"),
            ("#cloud-config\n# why\npackages: [vim]", "#cloud-config\n# why\npackages: [vim]"),
            ("#cloud-config\r\na: 1\r\n", "#cloud-config\r\na: 1\r\n"),
            ("# only this\n", "#cloud-config\n# only this\n"),
            (" \n", "#cloud-config\n"),
        ] {
            let (_, seed) = seed_of(given);
            assert_eq!(seed.user_data.expose_secret(), expected, "{given:?}");
        }
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        let bomb = format!(
            "a: &a [x,x,x,x,x,x,x,x,x]\n{}",
            (b'b'..=b'k')
                .map(|c| (char::from(c), char::from(c - 1)))
                .map(|(c, p)| format!("{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n"))
                .collect::<String>()
        );
        for text in [
            "- a\n",
            "text",
            "42",
            "a: [",
            "a: b: c",
            "#!/bin/sh\necho",
            "a: 1\n---\nb: 2\n",
            "\u{1b}",
            &bomb,
        ] {
            let error = UserData::new(text).unwrap_err();
            assert!(matches!(error, UserDataError::NotAMapping(_)), "{text:?}: {error:?}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
        let error = UserData::new("ssh_keys:\n  rsa_public: x\n").unwrap_err();
        assert_eq!(error, UserDataError::Reserved("ssh_keys"));
        assert_eq!(UserData::new(&"#".repeat(LONGEST + 1)).unwrap_err(), UserDataError::TooLong);
    }
}
