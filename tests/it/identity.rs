//! The user's certificate and key: made once, kept private, and taken in whatever form they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use e2e::{Client, skip, through_shell};

use crate::support::{Expected, NO_INSTANCES, Service, administrators, at_once, below, member, mode, run};

#[test]
fn clients_that_start_at_once_share_one_identity() {
    for round in 0..3 {
        let service = Service::start();
        let user = service.user("user");
        let outcomes = at_once((0..8).map(|_| user.command(&["list"])));
        for outcome in outcomes {
            outcome.prints(NO_INSTANCES);
        }
        assert_eq!(service.trusted(), 1, "round {round}");
        assert!(service.trusts(&user), "round {round}");
        run(&user, &["list"]).prints(NO_INSTANCES);
    }
}

#[test]
fn identities_are_private_whatever_the_umask() {
    let service = Service::start();
    for umask in ["0", "022", "077"] {
        let user = service.user(&format!("user{umask}"));
        let mut command = through_shell(&format!("umask {umask}; exec \"$@\""), &user.command(&["version"]));
        assert!(command.status().expect("the client runs").success());
        assert!(!user.identity().exists());

        let mut command = through_shell(&format!("umask {umask}; exec \"$@\""), &user.command(&["list"]));
        command.output().expect("the client runs");
        assert_eq!(mode(&user.identity()), 0o700, "{umask}");
        assert!(user.key().exists() && user.certificate().exists());
        for path in below(&user.identity()) {
            assert_eq!(mode(&path), 0o600, "{umask}: {}", path.display());
        }
    }
}

#[test]
fn an_identity_is_made_once_and_belongs_to_its_user() {
    let Some(admins) = administrators() else { return };
    let service = Service::start();
    let alice = service.user_as("alice", member(1001, &admins));
    run(&alice, &["list"]).prints(NO_INSTANCES);
    let files = [alice.certificate(), alice.key()];
    let before = files.each_ref().map(|path| fs::read(path).expect("readable"));
    run(&alice, &["list"]).prints(NO_INSTANCES);
    assert_eq!(files.each_ref().map(|path| fs::read(path).expect("readable")), before);
    for path in below(&alice.home) {
        let found = fs::metadata(&path).expect("metadata");
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&found), 1001, "{}", path.display());
    }
}

#[test]
fn a_key_that_others_could_read_is_closed_to_them() {
    let service = Service::start();
    let user = service.first_client();
    let key = fs::read(user.key()).expect("a key");
    // As the stock client makes it.
    fs::set_permissions(user.key(), fs::Permissions::from_mode(0o744)).expect("opened");
    let outcome = run(&user, &["list"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, NO_INSTANCES), "{outcome:?}");
    assert!(outcome.stderr.contains(&user.key().display().to_string()), "it is said: {outcome:?}");
    assert_eq!(mode(&user.key()), 0o600);
    assert_eq!(fs::read(user.key()).expect("a key"), key);
    run(&user, &["list"]).prints(NO_INSTANCES);
}

#[test]
fn files_that_are_no_identity_are_named_and_left_alone() {
    let service = Service::start();
    let (user, other) = (service.user("user"), service.first_client());
    run(&user, &["authenticate", "guess"]);
    // Somebody else's certificate.
    fs::copy(other.certificate(), user.certificate()).expect("copied");
    let (certificate, key) = (user.certificate(), user.key());
    let before = [&certificate, &key].map(|path| fs::read(path).expect("readable"));
    let parts = [certificate.display().to_string(), key.display().to_string()];
    run(&user, &["list"]).fails(2, "list failed: ", &[&parts[0], &parts[1]]);
    assert_eq!([&certificate, &key].map(|path| fs::read(path).expect("readable")), before);
    assert_eq!(service.trusted(), 1);
}

/// Kinds of key, by the arguments that make `openssl genpkey` make them.
const KEYS: &[(&str, &[&str])] = &[
    ("P-256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("P-384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("RSA", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("Ed25519", &["-algorithm", "ED25519"]),
];

#[test]
fn certificates_of_other_makers_are_first_clients() {
    if !has_openssl() {
        return;
    }
    for (name, algorithm) in KEYS {
        for version in [1, 3] {
            let service = Service::start();
            let user = service.user("user");
            place_identity(&user, algorithm, version);
            run(&user, &["list"]).prints(NO_INSTANCES);
            assert!(service.trusts(&user), "{name}, version {version}");
        }
    }
}

#[test]
fn certificates_of_other_makers_authenticate() {
    if !has_openssl() {
        return;
    }
    let service = Service::start();
    run(&service.first_client(), &["set", "local.passphrase=open sesame"]).prints("");
    for (name, algorithm) in KEYS {
        for version in [1, 3] {
            let user = service.user(&format!("{name}-v{version}"));
            place_identity(&user, algorithm, version);
            let before = fs::read(user.certificate()).expect("readable");
            run(&user, &["authenticate", "open sesame"]).prints("");
            run(&user, &["list"]).prints(NO_INSTANCES);
            assert!(service.trusts(&user), "{name}, version {version}");
            assert_eq!(fs::read(user.certificate()).expect("readable"), before);
        }
    }
    assert_eq!(service.trusted(), 1 + KEYS.len() * 2);
}

fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    if !found {
        skip("needs openssl");
    }
    found
}

/// Makes a key and a self-signed certificate of that X.509 version where the user's clients keep theirs.
fn place_identity(user: &Client, algorithm: &[&str], version: u8) {
    fs::create_dir_all(user.identity()).expect("made");
    let (key, certificate) = (user.key().display().to_string(), user.certificate().display().to_string());
    openssl(&[&["genpkey", "-out", &key], algorithm].concat());
    fs::set_permissions(user.key(), fs::Permissions::from_mode(0o600)).expect("closed");
    let subject = ["-subj", "/C=US/O=Canonical/CN=someone"];
    match version {
        1 => {
            let request = user.home.join("request").display().to_string();
            openssl(&[&["req", "-new", "-key", &key, "-out", &request], &subject[..]].concat());
            // Without extensions, this makes a certificate of version 1.
            openssl(&[
                "x509",
                "-req",
                "-in",
                &request,
                "-signkey",
                &key,
                "-days",
                "30",
                "-out",
                &certificate,
            ]);
        }
        _ => openssl(
            &[&["req", "-x509", "-key", &key, "-days", "30", "-out", &certificate], &subject[..]].concat(),
        ),
    }
    let text = openssl_output(&["x509", "-in", &certificate, "-noout", "-text"]);
    assert!(text.contains(&format!("Version: {version} ")), "{text}");
}

fn openssl(arguments: &[&str]) {
    openssl_output(arguments);
}

fn openssl_output(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
