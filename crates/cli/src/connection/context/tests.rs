//! Which service and which root are meant.

use super::*;

#[test]
fn the_root_is_named_in_one_way() {
    let digits = "1".repeat(64);
    let fingerprint = digits.parse().expect("a fingerprint");
    let file = || Some(PathBuf::from("/root.pem"));
    let by_fingerprint = |is_remembered| ExpectedRoot::Fingerprint { fingerprint, is_remembered };
    let by_file = ExpectedRoot::Certificate("/root.pem".into());
    for (root, root_certificate, variable, expected) in [
        (None, None, None, Some(ExpectedRoot::Default)),
        (None, file(), None, Some(by_file.clone())),
        (None, None, Some(digits.as_str()), Some(by_fingerprint(false))),
        (None, None, Some("1234"), None),
        (None, file(), Some(&digits), None),
        (Some(by_fingerprint(true)), file(), None, Some(by_fingerprint(true))),
        (Some(by_file.clone()), None, Some("1234"), Some(by_file.clone())),
    ] {
        let fingerprint = variable.map(str::to_owned);
        let address = Some(String::new());
        let environment = Environment { remote: None, address, root_certificate, fingerprint };
        let context = Context { root, environment, ..Context::with_address("") };
        match (context.expected_root(), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected),
            (Err(error), None) => assert!(error.message().contains(FINGERPRINT_VARIABLE), "{error}"),
            (found, expected) => panic!("{found:?}, {expected:?}"),
        }
    }
}

/// A remote in use that has that fingerprint.
fn selected_remote(name: &str, fingerprint: Option<RootFingerprint>) -> SelectedRemote {
    let endpoint = "localhost:50051".parse().expect("an address");
    let remote = Remote { name: name.parse().expect("a name"), endpoint, fingerprint };
    SelectedRemote { remote, source: ServiceSource::DefaultRemote }
}

#[test]
fn a_remote_has_a_root_of_its_own_whatever_the_environment_names() {
    let fingerprint: RootFingerprint = "1".repeat(64).parse().expect("a fingerprint");
    let other: RootFingerprint = "2".repeat(64).parse().expect("a fingerprint");
    let of_remote = ExpectedRoot::Remote { name: "work".parse().expect("a name"), fingerprint };
    let on_command_line = |is_remembered| ExpectedRoot::Fingerprint { fingerprint: other, is_remembered };
    let by_file = ExpectedRoot::Certificate("/root.pem".into());
    for (root, of, expected) in [
        (None, Some(fingerprint), of_remote),
        (None, None, ExpectedRoot::Default),
        // The command line wins; but the address is not known by what was written for its remote.
        (Some(on_command_line(true)), Some(fingerprint), on_command_line(false)),
        (Some(by_file.clone()), Some(fingerprint), by_file),
    ] {
        let context = Context {
            selected_remote: Arc::new(OnceLock::from(Some(selected_remote("work", of)))),
            root,
            environment: Environment {
                address: Some("unix:/run/other".to_owned()),
                root_certificate: Some("/other.pem".into()),
                fingerprint: Some("no fingerprint".to_owned()),
                ..Environment::default()
            },
            ..Context::with_address("")
        };
        assert_eq!(context.expected_root().expect("a root"), expected);
        assert_eq!(context.endpoint().expect("an address").to_string(), "localhost:50051");
    }
}

#[test]
fn one_service_is_meant() {
    let local = || RemoteName::local();
    for (option, remote, address, expected) in [
        (Some(local()), Some("nosuch:1"), Some("nonsense"), Ok(ServiceSource::RemoteOption)),
        (None, Some("local"), None, Ok(ServiceSource::RemoteVariable)),
        (None, Some("local"), Some("localhost:1"), Err("both MULTIPASS_REMOTE and MULTIPASS_SERVER_ADDRESS")),
        (None, Some("localhost:1"), None, Err("MULTIPASS_REMOTE is not the name of a remote")),
        (None, None, Some("localhost:1"), Ok(ServiceSource::AddressVariable)),
    ] {
        let context = Context {
            remote: option,
            environment: Environment {
                remote: remote.map(str::to_owned),
                address: address.map(str::to_owned),
                ..Environment::default()
            },
            ..Context::with_address("")
        };
        match (context.endpoint(), expected) {
            (Ok(endpoint), Ok(whence)) => {
                assert_eq!(context.service_source(), whence);
                let is_default = endpoint == transports::default_endpoint();
                assert_eq!(is_default, whence != ServiceSource::AddressVariable, "{endpoint}");
                assert_eq!(context.service_is_named(), whence == ServiceSource::AddressVariable);
            }
            (Err(error), Err(part)) => {
                assert!(error.message().contains(part), "{}", error.message());
                assert!(error.next_step().is_some());
            }
            (found, expected) => panic!("{found:?}, {expected:?}"),
        }
    }
}
