//! The server's certificates: what is missing is made again, and the root key is never replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use auth_core::testkit::MemoryStore;
use daemon::platform::Hangups;
use daemon::server_identity::{ServerIdentityError, keep_fresh, load_or_create, root_fingerprint};
use durable::FileError;
use nix::sys::stat::{Mode, umask};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use transport::testkit::{alone, run};
use transport::tls::{CertificateDates, ClientTls, Identity, Pin, RootCertificate, ServerTls};
use transport::{Endpoint, Transport};
use transport_unix::UnixTransport;

use crate::support::{TestService, one, request};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct DaemonFiles {
    directory: TempDir,
}

impl DaemonFiles {
    /// A data directory in which the daemon has started once.
    fn after_first_start() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(files.data()).unwrap();
        files.start(SystemTime::now()).unwrap();
        files
    }

    fn start(&self, now: SystemTime) -> Result<Identity, ServerIdentityError> {
        load_or_create(&self.data(), &self.published(), now)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn published(&self) -> PathBuf {
        self.directory.path().join("etc/root.pem")
    }

    fn own(&self, name: &str) -> PathBuf {
        self.data().join("certificates").join(name)
    }

    /// All files' contents: root key, private copy, published root, server certificate and key.
    fn contents(&self) -> [String; 5] {
        [
            self.own("localhost_root_key.pem"),
            self.own("localhost_root.pem"),
            self.published(),
            self.own("localhost.pem"),
            self.own("localhost_key.pem"),
        ]
        .map(|path| fs::read_to_string(path).unwrap())
    }
}

/// How long a certificate is valid, in days, and whether it is one for servers.
fn life_and_use(pem: &str) -> (i64, bool) {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    let validity = certificate.validity();
    let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
    let usage = certificate.extended_key_usage().unwrap();
    (days, usage.is_some_and(|usage| usage.value.server_auth && !usage.value.client_auth))
}

#[test]
fn certificates_live_as_long_as_the_stock_services() {
    let [_, root, _, server, _] = DaemonFiles::after_first_start().contents();
    assert_eq!(life_and_use(&root), (3650, false));
    assert_eq!(life_and_use(&server), (825, true));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn only_the_root_certificate_is_readable_by_others() {
    let files = DaemonFiles::after_first_start();
    assert_eq!(mode(&files.published()), 0o644);
    assert_eq!(mode(files.published().parent().unwrap()) & 0o555, 0o555);
    assert_eq!(mode(&files.data().join("certificates")), 0o700);
    for name in ["localhost_root_key.pem", "localhost_root.pem", "localhost.pem", "localhost_key.pem"] {
        assert_eq!(mode(&files.own(name)), 0o600, "{name}");
    }
}

/// What a change to the files, or the passing of time, makes the next start replace.
#[test]
fn what_is_missing_or_does_not_fit_is_made_again() {
    type Change = fn(&DaemonFiles);
    let nothing: Change = |_| {};
    // Root key, private root, published root, server certificate, server key: which stay as they were?
    let cases: &[(&str, Change, u32, [bool; 5])] = &[
        ("nothing", nothing, 0, [true; 5]),
        ("published root gone", |f| fs::remove_file(f.published()).unwrap(), 0, [true; 5]),
        ("published root replaced", |f| fs::write(f.published(), "other").unwrap(), 0, [true; 5]),
        ("private copy gone", |f| fs::remove_file(f.own("localhost_root.pem")).unwrap(), 0, [true; 5]),
        (
            "both root certificates gone",
            |f| {
                fs::remove_file(f.published()).unwrap();
                fs::remove_file(f.own("localhost_root.pem")).unwrap();
            },
            0,
            // The server certificate's issuer has the same name and key.
            [true, false, false, true, true],
        ),
        (
            "server certificate gone",
            |f| fs::remove_file(f.own("localhost.pem")).unwrap(),
            0,
            [true, true, true, false, false],
        ),
        (
            "server key garbage",
            |f| fs::write(f.own("localhost_key.pem"), "x").unwrap(),
            0,
            [true, true, true, false, false],
        ),
        (
            "server certificate of another root",
            |f| {
                let other = DaemonFiles::after_first_start();
                for name in ["localhost.pem", "localhost_key.pem"] {
                    fs::copy(other.own(name), f.own(name)).unwrap();
                }
            },
            0,
            [true, true, true, false, false],
        ),
        (
            "server certificate and key do not match",
            |f| {
                let other = DaemonFiles::after_first_start();
                fs::copy(other.own("localhost_key.pem"), f.own("localhost_key.pem")).unwrap();
            },
            0,
            [true, true, true, false, false],
        ),
        ("before two thirds of the server certificate's life", nothing, 540, [true; 5]),
        ("after two thirds of it", nothing, 560, [true, true, true, false, false]),
        ("after the root certificate's life", nothing, 3651, [true, false, false, false, false]),
        ("the root key gone", |f| fs::remove_file(f.own("localhost_root_key.pem")).unwrap(), 0, [false; 5]),
    ];
    for (what, change, days, stays) in cases {
        let files = DaemonFiles::after_first_start();
        let before = files.contents();
        change(&files);
        files.start(SystemTime::now() + DAY * *days).unwrap();
        let after = files.contents();
        let stayed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
        assert_eq!(stayed, stays, "{what}");
        assert_eq!(after[1], after[2], "{what}: what is published is what the daemon uses");
        files.start(SystemTime::now() + DAY * *days).unwrap();
        assert_eq!(files.contents(), after, "{what}: the next start changes nothing");
    }
}

#[test]
fn an_unusable_root_key_is_an_error_and_stays() {
    let files = DaemonFiles::after_first_start();
    let path = files.own("localhost_root_key.pem");
    fs::write(&path, "garbage").unwrap();
    let error = files.start(SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    assert_eq!(fs::read_to_string(path).unwrap(), "garbage");
}

#[test]
fn a_root_key_that_cannot_be_read_is_not_replaced() {
    let files = DaemonFiles::after_first_start();
    let path = files.own("localhost_root_key.pem");
    fs::remove_file(&path).unwrap();
    // Root reads any file; a directory is unreadable as a file even to root.
    fs::create_dir(&path).unwrap();
    assert!(matches!(files.start(SystemTime::now()), Err(ServerIdentityError::File(FileError::Read { .. }))));
    assert!(path.is_dir());
}

/// A handshake with a server that presents `identity`, by a client under the published root.
async fn connects(files: &DaemonFiles, identity: Identity) -> bool {
    let root = RootCertificate::from_pem(&fs::read(files.published()).unwrap()).unwrap();
    connects_under(files, identity, root).await
}

async fn connects_under(files: &DaemonFiles, identity: Identity, pin: impl Into<Pin>) -> bool {
    let at = Endpoint::Unix(files.directory.path().join("socket"));
    let mut listener = UnixTransport::default().listen(&at, ServerTls::new(identity).unwrap()).await.unwrap();
    let serve = async { listener.accept().await.unwrap().handshake().await };
    let transport = UnixTransport::default();
    let (client, server) = tokio::join!(
        transport.dial(&at, ClientTls::new(pin, CertificateDates::Enforced, None).unwrap()),
        serve
    );
    assert_eq!(client.is_ok(), server.is_ok(), "both sides say the same");
    client.is_ok()
}

/// The fingerprint is of the root's key: it lasts as long as that does.
#[test]
fn clients_know_the_daemon_by_the_fingerprint_of_its_root() {
    run(async {
        let files = DaemonFiles { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(files.data()).unwrap();
        assert_eq!(root_fingerprint(&files.data()).unwrap(), None, "before the first start");
        files.start(SystemTime::now()).unwrap();
        let first = root_fingerprint(&files.data()).unwrap().unwrap();
        let published = RootCertificate::from_pem(&fs::read(files.published()).unwrap()).unwrap();
        assert_eq!(first, published.fingerprint());

        let both_roots = [files.published(), files.own("localhost_root.pem")];
        for (what, gone, stays) in [
            ("nothing is gone", &[][..], true),
            ("the root certificate is made again", &both_roots, true),
            ("the root key is made again", &[files.own("localhost_root_key.pem")], false),
        ] {
            gone.iter().for_each(|file| fs::remove_file(file).unwrap());
            let identity = files.start(SystemTime::now()).unwrap();
            assert_eq!(root_fingerprint(&files.data()).unwrap() == Some(first), stays, "{what}");
            assert_eq!(connects_under(&files, identity, first).await, stays, "{what}");
        }
        fs::write(files.own("localhost_root.pem"), "garbage").unwrap();
        assert!(matches!(root_fingerprint(&files.data()), Err(ServerIdentityError::Root(_))));
    });
}

/// The text of a certificate whose signature has one bit changed.
fn forged(text: &str) -> String {
    let mut der = pem::parse(text).unwrap().into_contents();
    *der.last_mut().unwrap() ^= 1;
    // As the daemon writes it, so that it would be found as it is if it were adopted.
    let line_ending = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), line_ending)
}

/// What the stock service leaves: a root key and a server certificate under a root of its naming. Where
/// that root is lost, ours has another name, and a certificate is found under its issuer's name.
#[test]
fn a_server_certificate_under_a_root_of_another_name_is_made_again() {
    run(async {
        for (root_is_lost, common_name, stays) in [
            (false, "Multipass Root CA", true),
            (false, "Stock Root", true),
            // The name that ours has, and the attributes that it has not.
            (true, "Multipass Root CA", false),
            (true, "Stock Root", false),
        ] {
            let what = format!("{common_name}, lost: {root_is_lost}");
            let files = DaemonFiles::after_first_start();
            let root_key = KeyPair::from_pem(&files.contents()[0]).unwrap();
            let (start, end) = (SystemTime::now() - DAY, SystemTime::now() + DAY * 825);
            let mut root = CertificateParams::default();
            root.distinguished_name.push(DnType::CountryName, "US");
            root.distinguished_name.push(DnType::OrganizationName, "Canonical");
            root.distinguished_name.push(DnType::CommonName, common_name);
            root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (root.not_before, root.not_after) = (start.into(), end.into());
            let root_text = root.self_signed(&root_key).unwrap().pem();
            let mut server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            (server.not_before, server.not_after) = (start.into(), end.into());
            let key = KeyPair::generate().unwrap();
            let certificate = server.signed_by(&key, &Issuer::new(root, &root_key)).unwrap().pem();

            fs::write(files.own("localhost.pem"), &certificate).unwrap();
            fs::write(files.own("localhost_key.pem"), key.serialize_pem()).unwrap();
            fs::write(files.own("localhost_root.pem"), root_text).unwrap();
            if root_is_lost {
                fs::remove_file(files.own("localhost_root.pem")).unwrap();
                fs::remove_file(files.published()).unwrap();
            }
            let identity = files.start(SystemTime::now()).unwrap();
            assert_eq!(files.contents()[3] == certificate, stays, "{what}");
            assert_eq!(files.contents()[0], root_key.serialize_pem(), "{what}");
            assert!(connects(&files, identity).await, "{what}");
            // The whole thing is worth something only if an identity of another root is refused here.
            let other = DaemonFiles::after_first_start().start(SystemTime::now()).unwrap();
            assert!(!connects(&files, other).await, "{what}");
        }
    });
}

/// Anyone who can replace the published file decides what the daemon makes of it, but not whom clients
/// trust: of that file only the root key's own certificate is taken.
#[test]
fn of_a_published_root_only_the_root_key_s_certificate_is_adopted() {
    type Change = fn(&str) -> String;
    let cases: &[(&str, Change, bool)] = &[
        ("as it was", str::to_owned, true),
        ("CRLF", |root| root.replace('\n', "\r\n"), true),
        ("words around it", |root| format!("the root\n{root}that was it\n"), true),
        (
            "another certificate behind it",
            |root| format!("{root}{}", DaemonFiles::after_first_start().contents()[1]),
            true,
        ),
        ("a key behind it", |root| format!("{root}{}", KeyPair::generate().unwrap().serialize_pem()), true),
        ("itself behind it, forged", |root| format!("{root}{}", forged(root)), true),
        ("bytes behind it", |root| format!("{root}\u{fffd}\0"), true),
        ("its signature forged", forged, false),
        ("another root", |_| DaemonFiles::after_first_start().contents()[1].clone(), false),
        ("nothing", |_| String::new(), false),
    ];
    run(async {
        for (what, change, adopted) in cases {
            let files = DaemonFiles::after_first_start();
            let before = files.contents();
            fs::remove_file(files.own("localhost_root.pem")).unwrap();
            let found = change(&before[2]);
            fs::write(files.published(), &found).unwrap();
            let identity = files.start(SystemTime::now()).unwrap();
            let [root_key, private, published, ..] = files.contents();
            assert_eq!(private == before[1], *adopted, "{what}");
            assert_eq!(private, published, "{what}");
            assert_eq!(root_key, before[0], "{what}");
            assert!(*adopted || published != found, "{what}");
            assert_eq!(private.matches("-----BEGIN").count(), 1, "{what}");
            assert!(connects(&files, identity).await, "{what}");
        }
    });
}

#[test]
fn a_forged_private_copy_gives_way_to_the_published_root() {
    let files = DaemonFiles::after_first_start();
    let before = files.contents();
    fs::write(files.own("localhost_root.pem"), forged(&before[1])).unwrap();
    files.start(SystemTime::now()).unwrap();
    assert_eq!(files.contents(), before);
}

#[test]
fn what_clients_read_is_readable_whatever_it_was_and_whatever_the_umask() {
    let path =
        concat!(module_path!(), "::what_clients_read_is_readable_whatever_it_was_and_whatever_the_umask");
    alone(path, || {
        for mask in [0o000, 0o022, 0o077] {
            // The daemon refuses to be where others may write, so the place is made before.
            umask(Mode::from_bits_truncate(0o022));
            let files = DaemonFiles::after_first_start();
            umask(Mode::from_bits_truncate(mask));
            let published = files.directory.path().join("usr/local/etc/root.pem");
            load_or_create(&files.data(), &published, SystemTime::now()).unwrap();
            for above in published.ancestors().skip(1).take(3) {
                assert_eq!(mode(above), 0o755, "umask {mask:03o}, {}", above.display());
            }
            assert_eq!(mode(&published), 0o644, "umask {mask:03o}");
            for spoilt in [0o600, 0o000, 0o666] {
                fs::set_permissions(&published, fs::Permissions::from_mode(spoilt)).unwrap();
                load_or_create(&files.data(), &published, SystemTime::now()).unwrap();
                assert_eq!(mode(&published), 0o644, "umask {mask:03o}, once {spoilt:03o}");
            }
        }
    });
}

/// A clock that tests move, and who asks it how often.
#[derive(Clone, Default)]
struct Clock(Arc<(AtomicU32, AtomicUsize)>);

impl Clock {
    fn now(&self) -> SystemTime {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        SystemTime::now() + DAY * self.0.0.load(Ordering::SeqCst)
    }

    fn set(&self, days: u32) {
        self.0.0.store(days, Ordering::SeqCst);
    }

    /// Waits until a look at the certificate has begun and ended: the one after it has begun.
    async fn looked(&self) {
        let before = self.0.1.load(Ordering::SeqCst);
        while self.0.1.load(Ordering::SeqCst) < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[test]
fn a_certificate_is_renewed_while_clients_stay_connected() {
    run(async {
        let service = TestService::start(MemoryStore::new()).await;
        let mut client = service.client().await;
        one(client.list(request(rpc::ListRequest::default()))).await.unwrap();
        let first = service.presents().await;

        let clock = Clock::default();
        let (now, tls) = (clock.clone(), service.tls());
        let interval = Duration::from_millis(5);
        let hangups = Hangups::new().unwrap();
        tokio::spawn(keep_fresh(
            tls,
            service.data(),
            service.published(),
            interval,
            move || now.now(),
            hangups,
        ));

        for days in [0, 540] {
            clock.set(days);
            clock.looked().await;
            assert!(service.presents().await == first, "not due after {days} days");
        }
        // While it cannot be renewed, it is presented all the same.
        let key = service.data().join("certificates/localhost_root_key.pem");
        let root_key = fs::read(&key).unwrap();
        fs::write(&key, "garbage").unwrap();
        clock.set(560);
        clock.looked().await;
        assert!(service.presents().await == first, "none to renew it with");

        fs::write(&key, root_key).unwrap();
        clock.looked().await;
        let renewed = service.presents().await;
        assert!(renewed != first, "renewed after two thirds of its life");
        let file = fs::read(service.data().join("certificates/localhost.pem")).unwrap();
        assert!(renewed == pem::parse(file).unwrap().contents(), "what is presented is what is kept");
        clock.looked().await;
        assert!(service.presents().await == renewed, "renewed once");
        // The client has this one connection.
        one(client.list(request(rpc::ListRequest::default()))).await.unwrap();
    });
}
