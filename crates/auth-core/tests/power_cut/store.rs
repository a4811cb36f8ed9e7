//! The store as these tests use it: who is in it, by letters.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use auth_core::{
    Actor, Change, ClientCertificate, Condition, Enrolment, FileStore, Level, Moment, Outcome,
    PassphraseHash, StoreError, TakeOver, Token, TokenHash, TokenSecret, TrustStore,
};
use faulty_disk::Tree;
use tempfile::TempDir;

/// Below the data directory.
pub(crate) const DIRECTORY: &str = "authenticated-certs";
pub(crate) const READ_ONLY: &str = "authenticated-certs/read-only-clients.pem";
pub(crate) const TOKENS: &str = "authenticated-certs/tokens";
pub(crate) const CLIENTS: &str = "authenticated-certs/multipass_client_certs.pem";

/// Whatever it is called, it is not yet a file of the store.
pub(crate) fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".new-"))
}

pub(crate) static CLIENT: LazyLock<[(char, ClientCertificate); 3]> = LazyLock::new(|| {
    ['a', 'b', 'c'].map(|name| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        (name, ClientCertificate::from_der(der).unwrap())
    })
});

pub(crate) fn client(name: char) -> &'static ClientCertificate {
    &CLIENT.iter().find(|(other, _)| *other == name).unwrap().1
}

/// A block whose second half was never written.
pub(crate) fn torn(name: char) -> String {
    let pem = client(name).to_pem();
    pem[..pem.len() / 2].to_owned()
}

/// Of no passphrase at all: it is stored, and never evaluated here.
pub(crate) fn hash(name: &str) -> PassphraseHash {
    if name == "stock" {
        return PassphraseHash::from_stock(&"5a".repeat(64)).unwrap();
    }
    let output = "CgmRLGpfRbLPBVjjWnWBZLnPAnBRzBGOTsMA8rcVhl8";
    PassphraseHash::from_phc(&format!("$argon2id$v=19$m=8,t=1,p=1${name:A<22}${output}")).unwrap()
}

/// What a store says of itself. Who may only read has a capital letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    clients: String,
    passphrase: String,
    armed: bool,
    /// Those that may be redeemed.
    tokens: String,
}

/// A store with these clients, this passphrase or none, and perhaps waiting for its first client.
pub(crate) fn seen(clients: &str, passphrase: &str, armed: bool) -> Seen {
    Seen { clients: clients.to_owned(), passphrase: passphrase.to_owned(), armed, tokens: String::new() }
}

impl Seen {
    /// The same, with these tokens.
    pub(crate) fn and(self, tokens: &str) -> Self {
        Self { tokens: tokens.to_owned(), ..self }
    }

    /// Whether that client may do everything.
    pub(crate) fn has_full(&self, name: char) -> bool {
        self.clients.contains(name)
    }

    fn has_read_only(&self, name: char) -> bool {
        self.clients.contains(name.to_ascii_uppercase())
    }

    pub(crate) fn of(store: &FileStore) -> Self {
        let letter = |(name, client): &(char, ClientCertificate)| match store.level(&client.fingerprint())? {
            Level::Full => Some(*name),
            Level::ReadOnly => Some(name.to_ascii_uppercase()),
        };
        let clients: String = CLIENT.iter().filter_map(letter).collect();
        assert_eq!(store.is_empty(), clients.is_empty());
        let passphrase = match store.passphrase() {
            None => "",
            Some(set) => {
                ["old", "new", "stock"].into_iter().find(|name| hash(name) == set).expect("one that was set")
            }
        };
        let live = store.tokens(moment());
        let tokens: String = ['r', 'f', 'b']
            .into_iter()
            .filter(|name| live.iter().any(|token| token.id == token_hash(*name).id()))
            .collect();
        assert_eq!(live.len(), tokens.len());
        seen(&clients, passphrase, store.is_armed()).and(&tokens)
    }
}

pub(crate) fn open(data: &Path) -> Result<FileStore, StoreError> {
    FileStore::open(data, now(), |_| {})
}

pub(crate) fn enrol_first(store: &FileStore, name: char) -> Result<(), StoreError> {
    enrol(store, Condition::FirstClient, Level::Full, name)
}

pub(crate) fn enrol_by_passphrase(store: &FileStore, name: char) -> Result<(), StoreError> {
    enrol(store, Condition::PassphraseIs(hash("old")), Level::Full, name)
}

pub(crate) fn add(store: &FileStore, name: char) -> Result<(), StoreError> {
    enrol(store, Condition::WantedBy(Actor::Administrator), Level::Full, name)
}

pub(crate) fn add_read_only(store: &FileStore, name: char) -> Result<(), StoreError> {
    enrol(store, Condition::WantedBy(Actor::Administrator), Level::ReadOnly, name)
}

pub(crate) fn set_level(store: &FileStore, name: char, level: Level) -> Result<(), StoreError> {
    let (client, by, at) = (client(name).fingerprint(), Actor::Administrator, now());
    make(store, &Change::SetLevel { client, level, by, at })
}

pub(crate) fn rename(store: &FileStore, name: char) -> Result<(), StoreError> {
    let (client, by, at) = (client(name).fingerprint(), Actor::Administrator, now());
    make(store, &Change::Rename { client, name: &"other".parse().unwrap(), by, at })
}

pub(crate) fn revoke(store: &FileStore, name: char) -> Result<(), StoreError> {
    make(store, &Change::Revoke { client: client(name).fingerprint(), by: Actor::Administrator, at: now() })
}

fn moment() -> Moment {
    Moment { clock: now(), running: Instant::now() }
}

fn token_hash(name: char) -> TokenHash {
    TokenSecret::parse(&format!("{:032x}", u32::from(name))).unwrap().hash()
}

/// Root's, for reading or for everything; or one of the client b's, for everything.
fn token(name: char) -> Token {
    Token {
        id: token_hash(name).id(),
        name: None,
        level: if name == 'r' { Level::ReadOnly } else { Level::Full },
        created: now(),
        expires: now() + Duration::from_secs(3600),
        by: if name == 'b' { Actor::Client(client('b').fingerprint()) } else { Actor::Administrator },
    }
}

pub(crate) fn create_token(store: &FileStore, name: char) -> Result<(), StoreError> {
    make(store, &Change::CreateToken { hash: token_hash(name), token: token(name), at: moment() })
}

pub(crate) fn revoke_token(store: &FileStore, name: char) -> Result<(), StoreError> {
    let (id, by) = (token_hash(name).id(), Actor::Administrator);
    make(store, &Change::RevokeToken { id, by, at: moment() })
}

pub(crate) fn redeem(store: &FileStore, of: char, name: char) -> Result<(), StoreError> {
    let token = token(of);
    let level = token.level;
    enrol(store, Condition::Token { hash: token_hash(of), token, at: moment() }, level, name)
}

pub(crate) fn write_down_the_time(store: &FileStore) -> Result<(), StoreError> {
    let (clock, running) = (now() + Duration::from_secs(60), Instant::now());
    store.tend_tokens(Moment { clock, running }, Duration::from_secs(60))
}

pub(crate) fn await_first(store: &FileStore) -> Result<(), StoreError> {
    make(store, &Change::AwaitFirst)
}

fn enrol(store: &FileStore, condition: Condition, level: Level, name: char) -> Result<(), StoreError> {
    let certificate = client(name);
    let (channel, name, at) = (None, None, now());
    make(store, &Change::Enrol(Enrolment { condition, certificate, level, channel, name, at }))
}

/// Whether it was made now or before, by a call that failed at its end, the store says itself.
fn make(store: &FileStore, change: &Change<'_>) -> Result<(), StoreError> {
    store.change(change, &mut || Ok(())).map(|_: Outcome| ())
}

pub(crate) fn set_passphrase(store: &FileStore, name: &str) -> Result<(), StoreError> {
    make(
        store,
        &Change::SetPassphrase {
            passphrase: (!name.is_empty()).then(|| hash(name)),
            by: Actor::Administrator,
        },
    )
}

/// Those clients of a stock service that are not here yet are trusted.
pub(crate) fn take_clients_over(store: &FileStore, names: &str) -> Result<(), StoreError> {
    let names = names.chars().filter(|name| !store.contains(&client(*name).fingerprint()));
    let certificates: Vec<_> = names.map(|name| client(name).clone()).collect();
    make(store, &Change::TakeOver(TakeOver::Clients { certificates: &certificates, at: now() }))
}

pub(crate) fn take_passphrase_over(store: &FileStore) -> Result<(), StoreError> {
    make(store, &Change::TakeOver(TakeOver::Passphrase(hash("stock"))))
}

pub(crate) fn rehash(store: &FileStore) -> Result<(), StoreError> {
    make(store, &Change::TakeOver(TakeOver::Rehash { stock: hash("stock"), own: hash("new") }))
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// Puts a whole file in place as another process would that is killed before the last sync.
pub(crate) fn put(path: PathBuf, text: &str) {
    let beside = path.with_file_name(".new-by-hand");
    let mut file = File::create(&beside).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.sync_all().unwrap();
    fs::rename(beside, path).unwrap();
}

/// A data directory with nothing in it.
pub(crate) fn empty() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    directory
}

/// What a daemon finds that starts over these files; what it must not have lost, or left, is checked. It is
/// asked once for each tree.
pub(crate) fn restart(tree: &Tree, kept: &str) -> Result<Seen, String> {
    type Found = BTreeMap<(Tree, String), Result<Seen, String>>;
    thread_local! {
        static FOUND: RefCell<Found> = const { RefCell::new(Found::new()) };
    }
    let restarted = || restart_over(tree, kept);
    FOUND.with_borrow_mut(|found| {
        found.entry((tree.clone(), kept.to_owned())).or_insert_with(restarted).clone()
    })
}

fn restart_over(tree: &Tree, kept: &str) -> Result<Seen, String> {
    let directory = tree.in_a_directory();
    let store = open(directory.path()).map_err(|error| format!("it does not open: {error:?}"))?;
    let after = Tree::read(directory.path());
    if let Some((path, _)) = after.files(DIRECTORY).find(|(path, _)| is_temporary(path)) {
        return Err(format!("{} is left", path.display()));
    }
    let seen = Seen::of(&store);
    if let Some(name) = stock_trusts(&after).find(|name| seen.has_read_only(*name)) {
        return Err(format!("for the stock service, {name} may do more than read"));
    }
    let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(kept);
    if !after.files(DIRECTORY).any(|(_, bytes)| holds(bytes)) && !kept.is_empty() {
        return Err("damaged bytes are lost".to_owned());
    }
    Ok(seen)
}

/// Whom the stock service trusts over these files: everyone in the trust file, with everything.
pub(crate) fn stock_trusts(tree: &Tree) -> impl Iterator<Item = char> {
    let text = tree.file(Path::new(CLIENTS)).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = text.unwrap_or_default();
    CLIENT.iter().filter(move |(_, client)| text.contains(client.to_pem().trim_end())).map(|(name, _)| *name)
}
