//! The passphrase: which ones match, how they are stored, and that they are never shown.

use std::fs;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::Barrier;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
use auth_core::{Authority, HashError, Passphrase, PassphraseError, PassphraseHash, TrustStore};

#[cfg(target_os = "linux")]
use test_process::alone;

use crate::support::{Data, RULE, Unrecorded, passphrase};

/// From the reference implementation's own tests (`phc-winner-argon2`, `src/test.c`): `password`, at a
/// cost that is not ours.
const REFERENCE: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// `text` hashed, as it is stored.
fn stored(text: &str) -> String {
    let data = Data::new();
    data.open().set_passphrase(Some(PassphraseHash::of(&passphrase(text)).unwrap())).unwrap();
    fs::read_to_string(data.passphrase()).unwrap()
}

#[test]
fn the_empty_and_the_endless_are_refused() {
    for (text, expected) in [
        (String::new(), Some(PassphraseError::Empty)),
        ("x".to_owned(), None),
        (" ".to_owned(), None),
        ("x".repeat(1024), None),
        ("x".repeat(1025), Some(PassphraseError::TooLong)),
        // Bytes are counted, not letters.
        ("я".repeat(512), None),
        ("я".repeat(513), Some(PassphraseError::TooLong)),
    ] {
        let length = text.len();
        assert_eq!(Passphrase::new(text.into()).err(), expected, "{length} bytes");
    }
}

#[test]
fn every_byte_counts() {
    // Six letters in twelve bytes: cut to the number of its letters it would be its first half.
    let word = "пароль";
    let (half, rest) = word.split_at(word.chars().count());
    assert_eq!((half, rest), ("пар", "оль"));
    let long = "x".repeat(1024);
    for (set, given) in [
        (word, half),
        (word, "парижа"),
        (word, rest),
        (half, word),
        ("Пароль", word),
        ("secret", "secret "),
        ("secret", "secre"),
        ("secret\0", "secret"),
        ("secret", "secret\0more"),
        ("é", "e\u{301}"),
        (&long, &long[1..]),
    ] {
        let hash = PassphraseHash::of(&passphrase(set)).unwrap();
        assert!(hash.matches(&passphrase(set)), "{set:?}");
        assert!(!hash.matches(&passphrase(given)), "{set:?} is not {given:?}");
    }
}

#[test]
fn a_hash_is_salted_and_costs_what_it_should() {
    let (one, two) = (stored("open sesame"), stored("open sesame"));
    assert_ne!(one, two);
    for text in [&one, &two] {
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let hash = PasswordHash::new(text.trim_end()).unwrap();
        assert_eq!(hash.salt.unwrap().as_ref().len(), 16, "RFC 9106 recommends a salt of 16 bytes");
        assert_eq!(hash.hash.unwrap().as_bytes().len(), 32);
    }
    let salt = |text: &str| PasswordHash::new(text.trim_end()).unwrap().salt;
    assert_ne!(salt(&one), salt(&two));
}

#[test]
fn hashes_of_other_programs_and_costs_are_understood() {
    let reference = PassphraseHash::from_phc(REFERENCE).unwrap();
    assert!(reference.matches(&passphrase("password")));
    assert!(!reference.matches(&passphrase("passwore")));
}

#[test]
fn only_argon2id_hashes_are_taken() {
    let by = |algorithm| {
        let params = Params::new(64, 1, 1, None).unwrap();
        let hash: PasswordHash =
            Argon2::new(algorithm, Version::V0x13, params).hash_password(b"password").unwrap();
        hash.to_string()
    };
    let good = by(Algorithm::Argon2id);
    let matches = PassphraseHash::from_phc(&good).unwrap().matches(&passphrase("password"));
    assert!(matches, "the same by Argon2id would be taken");

    let (settings, _) = REFERENCE.rsplit_once('$').unwrap();
    let (no_salt, _) = settings.rsplit_once('$').unwrap();
    for (text, why) in [
        (by(Algorithm::Argon2i), "Argon2i"),
        (by(Algorithm::Argon2d), "Argon2d"),
        (
            "$scrypt$ln=14,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
            "scrypt",
        ),
        (REFERENCE.replace("argon2id", "argon2idx"), "an unknown one whose name begins alike"),
        (settings.to_owned(), "salt, no hash"),
        (no_salt.to_owned(), "neither salt nor hash"),
        (REFERENCE[1..].to_owned(), "its beginning cut off"),
        (format!("{REFERENCE} "), "a blank after it"),
        (format!("{REFERENCE}\n{REFERENCE}"), "two"),
        ("$argon2id$".to_owned(), "only the name"),
        ("password".to_owned(), "plain text"),
        (String::new(), "nothing"),
    ] {
        let result = PassphraseHash::from_phc(&text);
        assert!(matches!(result, Err(HashError::NotArgon2id)), "{why}: {text}");
    }
}

#[test]
fn a_hash_that_cannot_be_computed_matches_nothing() {
    // Of the form of a hash, at a cost that the function does not have.
    for cost in ["m=1,t=2,p=1", "m=65536,t=0,p=1", "m=65536,t=2,p=0"] {
        let hash = PassphraseHash::from_phc(&REFERENCE.replace("m=65536,t=2,p=1", cost));
        assert!(!hash.is_ok_and(|hash| hash.matches(&passphrase("password"))), "{cost}");
    }
}

#[test]
fn a_passphrase_survives_reopening_and_so_does_its_absence() {
    let data = Data::new();
    assert!(data.open().passphrase().is_none());

    let hash = PassphraseHash::of(&passphrase("open sesame")).unwrap();
    data.open().set_passphrase(Some(hash.clone())).unwrap();
    let reopened = data.open().passphrase().unwrap();
    assert!(reopened == hash);
    assert!(reopened.matches(&passphrase("open sesame")));

    data.open().set_passphrase(None).unwrap();
    assert!(data.open().passphrase().is_none());
}

#[test]
fn a_passphrase_written_by_hand_may_end_in_blanks() {
    let data = Data::with_clients("");
    for end in ["", "\n", "\r\n", " \n\n"] {
        fs::write(data.passphrase(), format!("{REFERENCE}{end}")).unwrap();
        assert!(data.open().passphrase() == Some(PassphraseHash::from_phc(REFERENCE).unwrap()), "{end:?}");
    }
}

#[test]
fn nothing_shows_a_passphrase_or_its_hash() {
    let given = passphrase("open sesame");
    let hash = PassphraseHash::of(&given).unwrap();
    let data = Data::new();
    let (file, memory) = (data.open(), MemoryStore::new());
    for store in [&file as &dyn TrustStore, &memory] {
        store.set_passphrase(Some(hash.clone())).unwrap();
    }
    let phc = fs::read_to_string(data.passphrase()).unwrap();
    let secrets = ["sesame", "argon2id", phc.trim_end().rsplit('$').next().unwrap()];

    let authority = |store| Authority::new(store, Box::new(NoGate), RULE, Arc::new(NoAudit));
    let mut shown = vec![
        format!("{given:?} {given:#?} {hash:?} {hash:#?} {:?}", Some(&hash)),
        format!("{file:?} {file:#?} {memory:?} {memory:#?}"),
        format!("{:?}", auth_core::Condition::PassphraseIs(hash.clone())),
    ];
    shown.push(format!("{:#?}", authority(Arc::new(file))));
    shown.push(format!("{:#?}", authority(Arc::new(memory))));
    for text in shown {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.to_lowercase().contains("redacted"), "shown as what it is: {text}");
    }
    // Neither do errors, of which some quote what was read.
    fs::write(data.passphrase(), format!("{}x$", phc.trim_end())).unwrap();
    let error = data.try_open().unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    assert!(text.contains("passphrase.phc"), "{text}");
}

/// Each hash takes 19 MiB. A daemon that was asked for some is as small as before, whichever of its threads
/// made them.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_hashing_goes_back_to_the_system() {
    /// Of this process, in KiB (proc_pid_status(5)).
    fn resident() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    alone(concat!(module_path!(), "::the_memory_of_hashing_goes_back_to_the_system"), || {
        const THREADS: usize = 4;
        let given = passphrase("open sesame");
        let hash = PassphraseHash::of(&given).unwrap();
        let before = resident();
        // All are there until the end: memory that is kept for a thread may be given back with it.
        let (hashed, measured) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
        let after = std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..4 {
                        assert!(hash.matches(&given));
                        PassphraseHash::of(&given).unwrap();
                    }
                    hashed.wait();
                    measured.wait();
                });
            }
            hashed.wait();
            let after = resident();
            measured.wait();
            after
        });
        assert!(after < before + 8 * 1024, "{before} KiB before, {after} KiB after");
    });
}
