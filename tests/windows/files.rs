//! Whose the files are: keys and trust their owner's alone, the root certificate for everyone.

use std::fs::{self, File};

use win32::access::{Access, Operation, restrict};

use crate::support::{Service, untrusted_principal};

#[test]
fn keys_are_for_their_owner_and_the_root_certificate_for_everyone() {
    let service = Service::start();
    service.run("alice", &["list"]);
    let (identity, data) = (service.identity("alice"), service.data());
    for closed in [
        &identity,
        &identity.join("multipass_cert_key.pem"),
        &data,
        &data.join("certificates"),
        &data.join("certificates/localhost_key.pem"),
        &data.join("certificates/localhost_root_key.pem"),
        &data.join("authenticated-certs"),
    ] {
        assert_eq!(untrusted_principal(Operation::Use, closed), None, "{}", closed.display());
    }
    let root = service.place.path("root.pem");
    assert!(untrusted_principal(Operation::Use, &root).is_some(), "other users need it");
    assert_eq!(untrusted_principal(Operation::Modify, &root), None);
}

#[test]
fn a_key_that_others_may_read_is_taken_from_them() {
    let service = Service::start();
    service.run("alice", &["list"]);
    let key = service.identity("alice").join("multipass_cert_key.pem");
    let before = fs::read(&key).expect("a key");
    restrict(&File::open(&key).expect("opened"), Access::Readable).expect("opened up");
    let told = service.run("alice", &["list"]);
    assert!(told.stderr.contains("other users could access your private key"), "{told:?}");
    assert_eq!(untrusted_principal(Operation::Use, &key), None);
    assert_eq!(fs::read(&key).expect("the key"), before);
    assert!(!service.run("alice", &["list"]).stderr.contains("private key"), "told once");
}
