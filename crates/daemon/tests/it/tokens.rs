//! Tokens over real connections: each lets one client in, once, and is of no use to anybody afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use auth_core::testkit::NoGate;
use auth_core::{
    Actor, Authority, Change, ClientCertificate, Condition, Enrolment, FileStore, Fingerprint,
    FirstClientRule, Level, TrustStore,
};
use daemon::machines::{InstancesUnavailable, Machines};
use daemon::{Service, audit, serve, server_identity};
use rpc::trust::trust_client::TrustClient;
use rpc::trust::{
    Client, CreateTokenReply, CreateTokenRequest, ListRequest, ListTokensRequest, RedeemTokenReply,
    RedeemTokenRequest, RevokeRequest, RevokeTokenRequest, SetLevelRequest, Token,
};
use tempfile::TempDir;
use tokio::sync::{Barrier, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use transport::network::ListenScope;
use transport::tls::{CertificateDates, ClientTls, Identity, RootCertificate, ServerTls};
use transport::{Endpoint, Transport};
use transport_tcp::TcpTransport;

use crate::support::{ORIGIN, TestConnection, lines};

const MINUTE: u64 = 60;
const ROUNDS: usize = 50;

/// A data directory in which somebody is trusted already.
struct DataDirectory {
    directory: TempDir,
    admin: TestClient,
}

/// A client's identity.
struct TestClient {
    certificate: ClientCertificate,
    pem: String,
    key: String,
}

/// A daemon's service on a port of loopback: who calls there is nobody but the holder of his certificate.
struct RunningService {
    endpoint: Endpoint,
    root: RootCertificate,
    store: Arc<FileStore>,
    stop: CancellationToken,
    ends: Vec<JoinHandle<()>>,
    /// Kept, for the service would take its end for the end of all news.
    _trust_changed: watch::Sender<()>,
}

impl TestClient {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap().pem();
        let certificate = ClientCertificate::from_pem(pem.as_bytes()).unwrap();
        Self { certificate, pem, key: key.serialize_pem() }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }
}

impl DataDirectory {
    fn new() -> Self {
        let data = Self { directory: tempfile::tempdir().unwrap(), admin: TestClient::new() };
        data.enrol(&data.admin);
        data
    }

    fn store(&self) -> FileStore {
        FileStore::open(self.directory.path(), SystemTime::now(), |_| {}).unwrap()
    }

    /// Trusts a client that may do everything, while no service runs.
    fn enrol(&self, someone: &TestClient) {
        let enrolment = Enrolment {
            condition: Condition::WantedBy(Actor::Administrator),
            certificate: &someone.certificate,
            level: Level::Full,
            channel: None,
            name: None,
            at: SystemTime::now(),
        };
        self.store().change(&Change::Enrol(enrolment), &mut || Ok(())).unwrap();
    }

    async fn start(&self) -> RunningService {
        let data = self.directory.path();
        let published = data.join("root.pem");
        let identity = server_identity::load_or_create(data, &published, SystemTime::now()).unwrap();
        let root = RootCertificate::from_pem(&fs::read(published).unwrap()).unwrap();
        let tls = ServerTls::new(identity).unwrap();
        let any = "tcp:127.0.0.1:0".parse().unwrap();
        let listener = transport().listen(&any, tls).await.unwrap();
        let endpoint = listener.endpoints()[0].clone();
        let rule = FirstClientRule { daemon_uid: daemon::platform::own_uid(), admin_gid: None };
        let records = audit::directory(data).unwrap();
        let store = Arc::new(self.store());
        let recorder = Arc::new(audit::FileAudit::new(&records));
        let authority = Authority::new(Arc::<FileStore>::clone(&store), Box::new(NoGate), rule, recorder);
        let (refusals, writer) = audit::refusals(&records);
        let (trust_changed, trust_changes) = watch::channel(());
        let machines = Machines::none(InstancesUnavailable::NoDriver("the test needs none".into()));
        let service = Service::new(authority, data.to_owned(), refusals, trust_changes, machines)
            .with_addresses(listener.endpoints().to_vec());
        let stop = CancellationToken::new();
        let ends = vec![
            tokio::spawn(serve(vec![listener], Arc::new(service), stop.clone())),
            tokio::spawn(writer.run(stop.clone())),
        ];
        RunningService { endpoint, root, store, stop, ends, _trust_changed: trust_changed }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The trust file, which is all that the stock service reads.
    fn stock_trusts(&self, someone: &TestClient) -> bool {
        let text = fs::read_to_string(self.file("authenticated-certs/multipass_client_certs.pem")).unwrap();
        text.contains(someone.certificate.to_pem().trim_end())
    }

    /// What is on record: the events, each with the token that it is about.
    fn granted(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let lines = lines(&self.file("audit/grants.jsonl"));
        lines.iter().map(|line| (text(&line["event"]), text(&line["token"]))).collect()
    }
}

fn transport() -> TcpTransport {
    TcpTransport::new(ListenScope::Loopback)
}

impl RunningService {
    async fn connect(&self, someone: Option<&TestClient>) -> TrustClient<TestConnection> {
        let identity = someone
            .map(|someone| Identity::from_pem(someone.pem.as_bytes(), someone.key.as_bytes()).unwrap());
        let tls = ClientTls::new(self.root.clone(), CertificateDates::Enforced, identity).unwrap();
        let connected = TestConnection::to(&transport(), &self.endpoint, tls).await;
        TrustClient::with_origin(connected, http::Uri::from_static(ORIGIN))
    }

    async fn redeem(&self, someone: &TestClient, secret: &str) -> Result<RedeemTokenReply, Status> {
        redeem(&mut self.connect(Some(someone)).await, secret).await
    }

    /// Stops, and leaves everything to the next one.
    async fn stop(self) {
        self.stop.cancel();
        for end in self.ends {
            end.await.unwrap();
        }
    }
}

async fn create(
    admin: &mut TrustClient<TestConnection>,
    name: &str,
    seconds: u64,
    level: &str,
) -> Result<CreateTokenReply, Status> {
    let request = CreateTokenRequest { name: name.to_owned(), seconds, level: level.to_owned() };
    admin.create_token(request).await.map(tonic::Response::into_inner)
}

async fn listed(admin: &mut TrustClient<TestConnection>) -> Vec<Token> {
    admin.list_tokens(ListTokensRequest {}).await.unwrap().into_inner().tokens
}

async fn clients(admin: &mut TrustClient<TestConnection>) -> Vec<Client> {
    admin.list(ListRequest {}).await.unwrap().into_inner().clients
}

async fn redeem(client: &mut TrustClient<TestConnection>, secret: &str) -> Result<RedeemTokenReply, Status> {
    let request = RedeemTokenRequest { secret: secret.to_owned() };
    client.redeem_token(request).await.map(tonic::Response::into_inner)
}

/// What every stranger is told whose token is not valid, whyever.
fn is_not_valid(outcome: Result<RedeemTokenReply, Status>, why: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (
            Code::Unauthenticated,
            "The token is not valid: it may have been used, revoked, or have expired. Ask for a new one."
        ),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_client_in_once() {
    let data = DataDirectory::new();
    let service = data.start().await;
    let mut admin = service.connect(Some(&data.admin)).await;
    let made = create(&mut admin, "laptop", MINUTE, "full").await.unwrap();
    assert_eq!(made.secret.len(), 32);
    assert_eq!(made.addresses, [service.endpoint.to_string()]);
    assert_eq!(made.root_fingerprint, service.root.fingerprint().to_string());
    let [token] = listed(&mut admin).await.try_into().unwrap();
    assert_eq!((&token.id, &token.expires), (&made.id, &made.expires));
    let parsed = |time: &str| humantime::parse_rfc3339(time).unwrap();
    assert_eq!(parsed(&token.created) + Duration::from_secs(MINUTE), parsed(&token.expires));
    let by = data.admin.fingerprint().to_string();
    assert_eq!((token.name.as_str(), token.level.as_str(), &token.by), ("laptop", "full", &by));

    let (bob, carol) = (TestClient::new(), TestClient::new());
    let reply = service.redeem(&bob, &made.secret).await.unwrap();
    assert_eq!((reply.name.as_str(), reply.level.as_str()), ("laptop", "full"));
    is_not_valid(service.redeem(&carol, &made.secret).await, "by another");
    is_not_valid(service.redeem(&bob, &made.secret).await, "by the same");
    assert_eq!(listed(&mut admin).await, []);
    // The client may do everything, from its next call on.
    let mut bob_calls = service.connect(Some(&bob)).await;
    let [_, found] = clients(&mut bob_calls).await.try_into().unwrap();
    assert_eq!((found.fingerprint, found.name.as_str()), (bob.fingerprint().to_string(), "laptop"));
    assert_eq!(
        (found.how.as_str(), found.from.as_str(), found.level.as_str()),
        ("token", "address:127.0.0.1", "full")
    );
    assert!(data.stock_trusts(&bob) && !data.stock_trusts(&carol));
    let text = fs::read_to_string(data.file("authenticated-certs/multipass_client_certs.pem")).unwrap();
    assert!(text.contains(&format!(" by={by} token={} name=laptop\n", made.id)), "{text}");
    let expected = ["token_created", "token_redeemed"].map(|event| (event.to_owned(), made.id.clone()));
    assert_eq!(data.granted(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_exactly_one_is_let_in() {
    let data = DataDirectory::new();
    let service = Arc::new(data.start().await);
    let mut admin = service.connect(Some(&data.admin)).await;
    for round in 0..ROUNDS {
        let made = create(&mut admin, "", MINUTE, "read-only").await.unwrap();
        let start = Arc::new(Barrier::new(2));
        let both = [TestClient::new(), TestClient::new()].map(|someone| {
            let (service, start, secret) = (Arc::clone(&service), Arc::clone(&start), made.secret.clone());
            tokio::spawn(async move {
                let mut client = service.connect(Some(&someone)).await;
                start.wait().await;
                (redeem(&mut client, &secret).await, someone.fingerprint())
            })
        });
        let mut entered = Vec::new();
        for one in both {
            match one.await.unwrap() {
                (Ok(_), client) => entered.push(client.to_string()),
                (Err(status), _) => assert_eq!(status.code(), Code::Unauthenticated, "round {round}"),
            }
        }
        assert_eq!(entered.len(), 1, "round {round}");
        let trusted = clients(&mut admin).await;
        assert_eq!(trusted.len(), 2 + round, "round {round}");
        assert!(trusted.iter().any(|client| client.fingerprint == entered[0]), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_learn_why_a_token_is_not_valid_and_the_record_does() {
    let data = DataDirectory::new();
    let other = TestClient::new();
    data.enrol(&other);
    let service = data.start().await;
    let mut admin = service.connect(Some(&data.admin)).await;
    let stranger = TestClient::new();
    let mut calls = service.connect(Some(&stranger)).await;

    let good = create(&mut admin, "", MINUTE, "full").await.unwrap();
    // Each digit another one, and each in the other case; too short, too long, and none.
    for at in 0..good.secret.len() {
        let old = good.secret.as_bytes()[at];
        let changed = if old == b'0' { '1' } else { '0' };
        let mut secret = good.secret.clone();
        secret.replace_range(at..=at, &changed.to_string());
        is_not_valid(redeem(&mut calls, &secret).await, &secret);
        if old.is_ascii_lowercase() {
            let mut secret = good.secret.clone();
            secret.replace_range(at..=at, &char::from(old.to_ascii_uppercase()).to_string());
            is_not_valid(redeem(&mut calls, &secret).await, &secret);
        }
    }
    for secret in ["", "0", &good.secret[1..], &format!("{}0", good.secret), &format!("{} ", good.secret)] {
        is_not_valid(redeem(&mut calls, secret).await, secret);
    }

    let revoked = create(&mut admin, "", MINUTE, "full").await.unwrap();
    admin.revoke_token(RevokeTokenRequest { id: revoked.id.clone() }).await.unwrap();
    is_not_valid(redeem(&mut calls, &revoked.secret).await, "revoked");
    let again = admin.revoke_token(RevokeTokenRequest { id: revoked.id.clone() }).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);

    let of_another = create(&mut service.connect(Some(&other)).await, "", MINUTE, "full").await.unwrap();
    assert_eq!(listed(&mut admin).await.len(), 2);
    admin.revoke(RevokeRequest { fingerprint: other.fingerprint().to_string() }).await.unwrap();
    assert_eq!(listed(&mut admin).await.len(), 1);
    is_not_valid(redeem(&mut calls, &of_another.secret).await, "its maker was revoked");

    let short = create(&mut admin, "", 1, "full").await.unwrap();
    let expired = async {
        while listed(&mut admin).await.iter().any(|token| token.id == short.id) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), expired).await.unwrap();
    is_not_valid(redeem(&mut calls, &short.secret).await, "expired");
    is_not_valid(redeem(&mut calls, &short.secret).await, "expired, again");

    // All that did not use up the good one.
    let found = TestClient::new();
    service.redeem(&found, &good.secret).await.unwrap();
    is_not_valid(redeem(&mut calls, &good.secret).await, "used");
    assert!(!service.store.contains(&stranger.fingerprint()));
    service.stop().await;
    let refused = lines(&data.file("audit/refusals.jsonl"));
    let reasons: BTreeSet<&str> = refused.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    let expected = ["token_expired", "token_orphaned", "token_revoked", "token_spent", "token_unknown"];
    assert_eq!(reasons, expected.into());
    assert!(refused.iter().all(|line| line["method"] == "RedeemToken"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_token_lets_a_client_read_and_a_full_one_lifts_it() {
    let data = DataDirectory::new();
    let service = data.start().await;
    let mut admin = service.connect(Some(&data.admin)).await;
    let bob = TestClient::new();
    let made = create(&mut admin, "bob", MINUTE, "read-only").await.unwrap();
    let mut calls = service.connect(Some(&bob)).await;
    assert_eq!(redeem(&mut calls, &made.secret).await.unwrap().level, "read-only");
    assert_eq!(service.store.level(&bob.fingerprint()), Some(Level::ReadOnly));
    assert!(!data.stock_trusts(&bob));
    // Who may only read makes, sees and ends none.
    let refused = [
        create(&mut calls, "", MINUTE, "read-only").await.map(drop),
        calls.list_tokens(ListTokensRequest {}).await.map(drop),
        calls.revoke_token(RevokeTokenRequest { id: made.id.clone() }).await.map(drop),
    ];
    for outcome in refused {
        assert_eq!(outcome.unwrap_err().code(), Code::PermissionDenied);
    }
    // One that gives no more is not used for it.
    let [again, lifts] = ["read-only", "full"];
    let again = create(&mut admin, "", MINUTE, again).await.unwrap();
    let status = redeem(&mut calls, &again.secret).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("trusted already, at the level 'read-only'"), "{status:?}");
    assert_eq!(listed(&mut admin).await.len(), 1);
    let lifts = create(&mut admin, "", MINUTE, lifts).await.unwrap();
    let reply = redeem(&mut calls, &lifts.secret).await.unwrap();
    assert_eq!((reply.name.as_str(), reply.level.as_str()), ("", "full"));
    assert!(data.stock_trusts(&bob));
    // Nor does one take a level away.
    assert_eq!(redeem(&mut calls, &again.secret).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(service.store.level(&bob.fingerprint()), Some(Level::Full));
    // What it made, by the same connection, ends when it may do less again.
    create(&mut calls, "", MINUTE, "full").await.unwrap();
    assert_eq!(listed(&mut admin).await.len(), 2);
    let lower = SetLevelRequest { fingerprint: bob.fingerprint().to_string(), level: "read-only".to_owned() };
    admin.set_level(lower).await.unwrap();
    assert_eq!(listed(&mut admin).await.iter().map(|token| &token.id).collect::<Vec<_>>(), [&again.id]);
    // A client that was revoked comes back by a token.
    admin.revoke(RevokeRequest { fingerprint: bob.fingerprint().to_string() }).await.unwrap();
    service.redeem(&bob, &again.secret).await.unwrap();
    assert_eq!(service.store.level(&bob.fingerprint()), Some(Level::ReadOnly));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_nothing_is_redeemed_and_nobody_is_first_by_it() {
    let data = DataDirectory { directory: tempfile::tempdir().unwrap(), admin: TestClient::new() };
    let service = data.start().await;
    is_not_valid(service.redeem(&data.admin, &"0".repeat(32)).await, "where the first client is awaited");
    assert!(service.store.is_armed() && service.store.is_empty());
    service.stop().await;

    data.enrol(&data.admin);
    let service = data.start().await;
    let mut admin = service.connect(Some(&data.admin)).await;
    let made = create(&mut admin, "", MINUTE, "full").await.unwrap();
    let mut nobody = service.connect(None).await;
    let status = redeem(&mut nobody, &made.secret).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("no certificate") && status.message().contains("was not used"));
    assert_eq!(listed(&mut admin).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_token_can_be_is_not_made() {
    let data = DataDirectory::new();
    let service = data.start().await;
    let mut admin = service.connect(Some(&data.admin)).await;
    for (name, seconds, level) in [
        ("", 0, "full"),
        ("", 30 * 24 * 60 * MINUTE + 1, "full"),
        ("", u64::MAX, "full"),
        ("", MINUTE, ""),
        ("", MINUTE, "admin"),
        ("a name", MINUTE, "full"),
    ] {
        let status = create(&mut admin, name, seconds, level).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name:?} {seconds} {level:?}: {status:?}");
    }
    assert_eq!(listed(&mut admin).await, []);
    let stranger = create(&mut service.connect(Some(&TestClient::new())).await, "", MINUTE, "full").await;
    assert_eq!(stranger.unwrap_err().code(), Code::Unauthenticated);
    let status = admin.revoke_token(RevokeTokenRequest { id: "x".to_owned() }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn texts_below(directory: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => texts_below(&path, texts),
            false => texts.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_survives_a_restart_and_its_secret_is_written_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    // Of all threads: the service's work is done on several.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let data = DataDirectory::new();
    let service = data.start().await;
    let mut admin = service.connect(Some(&data.admin)).await;
    let used = create(&mut admin, "bob", MINUTE, "read-only").await.unwrap();
    let unused = create(&mut admin, "carol", MINUTE, "full").await.unwrap();
    service.stop().await;
    let service = data.start().await;
    let bob = TestClient::new();
    let reply = service.redeem(&bob, &used.secret).await.unwrap();
    assert_eq!((reply.name.as_str(), reply.level.as_str()), ("bob", "read-only"));
    service.stop().await;
    let service = data.start().await;
    is_not_valid(service.redeem(&TestClient::new(), &used.secret).await, "used before the restart");
    service.stop().await;

    let mut texts = vec![String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned()];
    texts_below(data.directory.path(), &mut texts);
    let anywhere = |what: &str| texts.iter().any(|text| text.contains(what));
    for made in [&used, &unused] {
        assert!(!anywhere(&made.secret), "{}", made.secret);
    }
    // This would be found: the one in the log and the record, the other in a file.
    assert!(texts[0].contains(&used.id) && anywhere(&unused.id));
}
