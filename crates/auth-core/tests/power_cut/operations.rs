//! What is done to a store in these tests, as a table.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use auth_core::{FileStore, Level, StoreError};
use faulty_disk::walk::Work;
use faulty_disk::{Fault, Log, Plan, Tree, record, set};

use crate::store::{
    CLIENTS, DIRECTORY, READ_ONLY, Seen, TOKENS, add, add_read_only, await_first, client, create_token,
    empty, enrol_by_passphrase, enrol_first, open, put, redeem, rehash, rename, revoke, revoke_token, seen,
    set_level, set_passphrase, take_clients_over, take_passphrase_over, torn, write_down_the_time,
};
use crate::{cuts, faults};

/// A call, with what it begins and ends with.
pub(crate) struct Operation {
    name: &'static str,
    /// Prepares a data directory. All of it is on the disk for certain.
    given: fn(&Path),
    /// What others do between the opening of the store and the call, and do not sync.
    pub(crate) meanwhile: Option<fn(&Path)>,
    call: Call,
    pub(crate) before: Seen,
    pub(crate) after: Seen,
    /// What it may come to be instead, and then stays: a token that is spent, and let nobody in.
    pub(crate) half_way: Option<Seen>,
    /// Damaged bytes that must be somewhere, always.
    pub(crate) kept: String,
}

#[derive(Clone, Copy)]
enum Call {
    /// The store is opened, and then something is done to it.
    Open(fn(&FileStore) -> Result<(), StoreError>),
    /// The store was open.
    On(fn(&FileStore) -> Result<(), StoreError>),
}

/// What became of an operation that was recorded.
pub(crate) struct Run {
    /// Of the call, and of the same call made again over a disk that was fixed, if the first was faulty.
    pub(crate) results: [Result<Seen, StoreError>; 2],
    /// What the store says between the two, if there is one.
    pub(crate) between: Option<Seen>,
    /// What is there between the two.
    pub(crate) files: Tree,
    pub(crate) log: Log,
}

impl Work for Operation {
    type Told = Result<Seen, StoreError>;

    fn name(&self) -> &'static str {
        self.name
    }

    fn given(&self) -> Tree {
        let data = empty();
        (self.given)(data.path());
        Tree::read(data.path())
    }

    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log) {
        let data = given.in_a_directory();
        let mut store = self.opened(data.path());
        record(data.path(), || {
            self.interfere(data.path());
            set(plan);
            self.call(data.path(), &mut store)
        })
    }

    fn survives(&self, _: &Tree, told: Self::Told, log: &Log) -> Result<usize, String> {
        cuts::survives(self, told, log)
    }

    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String> {
        faults::check(self, fault, &self.run_twice(given, Plan { fault: Some(fault), ..Plan::default() }))
    }
}

impl Operation {
    /// Runs the call over a faulty disk, and again when it is fixed.
    fn run_twice(&self, given: &Tree, plan: Plan) -> Run {
        let data = given.in_a_directory();
        let mut store = self.opened(data.path());
        let ((results, between, files), log) = record(data.path(), || {
            self.interfere(data.path());
            set(plan);
            let first = self.call(data.path(), &mut store);
            set(Plan::default());
            let between = store.as_ref().map(Seen::of);
            let files = Tree::read(data.path());
            let second = self.call(data.path(), &mut store);
            ([first, second], between, files)
        });
        Run { results, between, files, log }
    }

    fn interfere(&self, data: &Path) {
        if let Some(meanwhile) = self.meanwhile {
            meanwhile(data);
        }
    }

    fn opened(&self, data: &Path) -> Option<FileStore> {
        match self.call {
            Call::Open(_) => None,
            Call::On(_) => Some(open(data).unwrap()),
        }
    }

    fn call(&self, data: &Path, store: &mut Option<FileStore>) -> Result<Seen, StoreError> {
        match self.call {
            Call::Open(then) => then(store.insert(open(data)?))?,
            Call::On(call) => call(store.as_ref().expect("it is open"))?,
        }
        Ok(Seen::of(store.as_ref().expect("it is open")))
    }
}

fn nothing(_: &Path) {}

fn only(_: &FileStore) -> Result<(), StoreError> {
    Ok(())
}

/// Clients that somebody put there before the first start.
fn by_hand(data: &Path, text: &str) {
    DirBuilder::new().mode(0o700).create(data.join(DIRECTORY)).unwrap();
    fs::write(data.join(CLIENTS), text).unwrap();
}

fn started(data: &Path) {
    open(data).unwrap();
}

fn with_passphrase(data: &Path) {
    set_passphrase(&open(data).unwrap(), "old").unwrap();
}

fn with_first_client(data: &Path) {
    with_passphrase(data);
    enrol_first(&open(data).unwrap(), 'a').unwrap();
}

fn with_two_clients(data: &Path) {
    with_first_client(data);
    enrol_by_passphrase(&open(data).unwrap(), 'b').unwrap();
}

fn with_a_revoked_client(data: &Path) {
    with_two_clients(data);
    revoke(&open(data).unwrap(), 'b').unwrap();
}

fn with_a_read_only_client(data: &Path) {
    with_first_client(data);
    add_read_only(&open(data).unwrap(), 'b').unwrap();
}

fn with_tokens(data: &Path) {
    with_first_client(data);
    let store = open(data).unwrap();
    create_token(&store, 'r').unwrap();
    create_token(&store, 'f').unwrap();
}

fn with_a_token_of_another(data: &Path) {
    with_two_clients(data);
    create_token(&open(data).unwrap(), 'b').unwrap();
}

fn emptied(data: &Path) {
    with_first_client(data);
    revoke(&open(data).unwrap(), 'a').unwrap();
}

/// All operations.
pub(crate) fn all() -> Vec<Operation> {
    let row = |name, given, call, before, after| Operation {
        name,
        given,
        meanwhile: None,
        call,
        before,
        after,
        half_way: None,
        kept: String::new(),
    };
    vec![
        row("the first start", nothing, Call::Open(only), seen("", "", true), seen("", "", true)),
        row(
            "the first start, and a passphrase",
            nothing,
            Call::Open(|store| set_passphrase(store, "old")),
            seen("", "", true),
            seen("", "old", true),
        ),
        row(
            "another start",
            with_first_client,
            Call::Open(only),
            seen("a", "old", false),
            seen("a", "old", false),
        ),
        row(
            "a start over clients put there by hand",
            |data| by_hand(data, &client('a').to_pem()),
            Call::Open(only),
            seen("a", "", false),
            seen("a", "", false),
        ),
        Operation {
            kept: torn('b'),
            ..row(
                "a start over damage",
                |data| by_hand(data, &(client('a').to_pem() + &torn('b'))),
                Call::Open(only),
                seen("a", "", false),
                seen("a", "", false),
            )
        },
        Operation {
            kept: torn('b'),
            ..row(
                "a start over nothing but damage",
                |data| by_hand(data, &torn('b')),
                Call::Open(only),
                seen("", "", false),
                seen("", "", false),
            )
        },
        row(
            "a start over what a crash left",
            |data| {
                started(data);
                fs::write(data.join(DIRECTORY).join(".new-1"), "half").unwrap();
            },
            Call::Open(only),
            seen("", "", true),
            seen("", "", true),
        ),
        Operation {
            meanwhile: Some(|data| put(data.join(CLIENTS), &client('a').to_pem())),
            ..row(
                "a start after a daemon that was killed before its last sync",
                started,
                Call::Open(only),
                seen("", "", true),
                seen("a", "", false),
            )
        },
        row(
            "the first client",
            started,
            Call::On(|store| enrol_first(store, 'a')),
            seen("", "", true),
            seen("a", "", false),
        ),
        row(
            "the first client, by passphrase",
            with_passphrase,
            Call::On(|store| enrol_by_passphrase(store, 'a')),
            seen("", "old", true),
            seen("a", "old", false),
        ),
        row(
            "the second client",
            with_first_client,
            Call::On(|store| enrol_by_passphrase(store, 'b')),
            seen("a", "old", false),
            seen("ab", "old", false),
        ),
        Operation {
            meanwhile: Some(|data| {
                put(data.join(CLIENTS), &(client('a').to_pem() + &torn('c')));
                File::open(data.join(DIRECTORY)).unwrap().sync_all().unwrap();
            }),
            kept: torn('c'),
            ..row(
                "the second client, who comes upon damage",
                with_first_client,
                Call::On(|store| enrol_by_passphrase(store, 'b')),
                seen("a", "old", false),
                seen("ab", "old", false),
            )
        },
        Operation {
            meanwhile: Some(|data| put(data.join(CLIENTS), &client('a').to_pem())),
            ..row(
                "a reload of a client put there by hand",
                started,
                Call::On(FileStore::reload),
                seen("", "", true),
                seen("a", "", false),
            )
        },
        row(
            "a client is added",
            with_first_client,
            Call::On(|store| add(store, 'b')),
            seen("a", "old", false),
            seen("ab", "old", false),
        ),
        row(
            "a client is revoked",
            with_two_clients,
            Call::On(|store| revoke(store, 'b')),
            seen("ab", "old", false),
            seen("a", "old", false),
        ),
        row(
            "the last client is revoked",
            with_first_client,
            Call::On(|store| revoke(store, 'a')),
            seen("a", "old", false),
            seen("", "old", false),
        ),
        row(
            "a revoked client is added",
            with_a_revoked_client,
            Call::On(|store| add(store, 'b')),
            seen("a", "old", false),
            seen("ab", "old", false),
        ),
        Operation {
            meanwhile: Some(|data| {
                put(data.join(CLIENTS), &(client('a').to_pem() + &client('b').to_pem()));
            }),
            ..row(
                "a revoked client, put back by hand, is added",
                with_a_revoked_client,
                Call::On(|store| add(store, 'b')),
                seen("a", "old", false),
                seen("ab", "old", false),
            )
        },
        row(
            "a client that may only read is added",
            with_first_client,
            Call::On(|store| add_read_only(store, 'b')),
            seen("a", "old", false),
            seen("aB", "old", false),
        ),
        row(
            "a client may only read from now on",
            with_two_clients,
            Call::On(|store| set_level(store, 'b', Level::ReadOnly)),
            seen("ab", "old", false),
            seen("aB", "old", false),
        ),
        row(
            "a client may do everything from now on",
            with_a_read_only_client,
            Call::On(|store| set_level(store, 'b', Level::Full)),
            seen("aB", "old", false),
            seen("ab", "old", false),
        ),
        row(
            "a client that may only read knows the passphrase",
            with_a_read_only_client,
            Call::On(|store| enrol_by_passphrase(store, 'b')),
            seen("aB", "old", false),
            seen("ab", "old", false),
        ),
        row(
            "a client that may only read is revoked",
            with_a_read_only_client,
            Call::On(|store| revoke(store, 'b')),
            seen("aB", "old", false),
            seen("a", "old", false),
        ),
        row(
            "a revoked client is added, and may only read",
            with_a_revoked_client,
            Call::On(|store| add_read_only(store, 'b')),
            seen("a", "old", false),
            seen("aB", "old", false),
        ),
        row(
            "a client is called something else",
            with_two_clients,
            Call::On(|store| rename(store, 'b')),
            seen("ab", "old", false),
            seen("ab", "old", false),
        ),
        row(
            "a start over a change of level that stopped half-way",
            |data| {
                with_a_read_only_client(data);
                put(data.join(CLIENTS), &(client('a').to_pem() + &client('b').to_pem()));
            },
            Call::Open(only),
            seen("aB", "old", false),
            seen("aB", "old", false),
        ),
        Operation {
            kept: torn('c'),
            ..row(
                "a start over damage among those that may only read",
                |data| {
                    with_first_client(data);
                    put(data.join(READ_ONLY), &(client('b').to_pem() + &torn('c')));
                },
                Call::Open(only),
                seen("aB", "old", false),
                seen("aB", "old", false),
            )
        },
        row(
            "the first client is awaited again",
            emptied,
            Call::On(await_first),
            seen("", "old", false),
            seen("", "old", true),
        ),
        row(
            "a passphrase",
            started,
            Call::On(|store| set_passphrase(store, "old")),
            seen("", "", true),
            seen("", "old", true),
        ),
        row(
            "another passphrase",
            with_first_client,
            Call::On(|store| set_passphrase(store, "new")),
            seen("a", "old", false),
            seen("a", "new", false),
        ),
        row(
            "a token",
            with_first_client,
            Call::On(|store| create_token(store, 'f')),
            seen("a", "old", false),
            seen("a", "old", false).and("f"),
        ),
        row(
            "another token, where one has ended with the trust in who made it",
            |data| {
                with_a_token_of_another(data);
                let tokens = fs::read_to_string(data.join(TOKENS)).unwrap();
                revoke(&open(data).unwrap(), 'b').unwrap();
                put(data.join(TOKENS), &tokens);
            },
            Call::On(|store| create_token(store, 'f')),
            seen("a", "old", false),
            seen("a", "old", false).and("f"),
        ),
        row(
            "a token is revoked",
            with_tokens,
            Call::On(|store| revoke_token(store, 'r')),
            seen("a", "old", false).and("rf"),
            seen("a", "old", false).and("f"),
        ),
        Operation {
            half_way: Some(seen("a", "old", false).and("f")),
            ..row(
                "a token is redeemed, for reading",
                with_tokens,
                Call::On(|store| redeem(store, 'r', 'b')),
                seen("a", "old", false).and("rf"),
                seen("aB", "old", false).and("f"),
            )
        },
        Operation {
            half_way: Some(seen("aB", "old", false).and("r")),
            ..row(
                "a token is redeemed, by a client that may only read",
                |data| {
                    with_tokens(data);
                    add_read_only(&open(data).unwrap(), 'b').unwrap();
                },
                Call::On(|store| redeem(store, 'f', 'b')),
                seen("aB", "old", false).and("rf"),
                seen("ab", "old", false).and("r"),
            )
        },
        Operation {
            half_way: Some(seen("a", "old", false).and("r")),
            ..row(
                "a token is redeemed, by a client that was revoked",
                |data| {
                    with_tokens(data);
                    add(&open(data).unwrap(), 'b').unwrap();
                    revoke(&open(data).unwrap(), 'b').unwrap();
                },
                Call::On(|store| redeem(store, 'f', 'b')),
                seen("a", "old", false).and("rf"),
                seen("ab", "old", false).and("r"),
            )
        },
        row(
            "a client that made a token is revoked",
            with_a_token_of_another,
            Call::On(|store| revoke(store, 'b')),
            seen("ab", "old", false).and("b"),
            seen("a", "old", false),
        ),
        row(
            "a client that made a token may only read from now on",
            with_a_token_of_another,
            Call::On(|store| set_level(store, 'b', Level::ReadOnly)),
            seen("ab", "old", false).and("b"),
            seen("aB", "old", false),
        ),
        row(
            "a client is added again whose token was left by a crash",
            |data| {
                with_a_token_of_another(data);
                let tokens = fs::read_to_string(data.join(TOKENS)).unwrap();
                let store = open(data).unwrap();
                revoke(&store, 'b').unwrap();
                put(data.join(TOKENS), &tokens);
            },
            Call::On(|store| add(store, 'b')),
            seen("a", "old", false),
            seen("ab", "old", false),
        ),
        row(
            "how late it is for tokens",
            with_tokens,
            Call::On(write_down_the_time),
            seen("a", "old", false).and("rf"),
            seen("a", "old", false).and("rf"),
        ),
        Operation {
            kept: "no token\n".to_owned(),
            ..row(
                "a start over damage among the tokens",
                |data| {
                    with_tokens(data);
                    let tokens = fs::read_to_string(data.join(TOKENS)).unwrap();
                    put(data.join(TOKENS), &(tokens + "no token\n"));
                },
                Call::Open(only),
                seen("a", "old", false).and("rf"),
                seen("a", "old", false).and("rf"),
            )
        },
        row(
            "no passphrase",
            with_first_client,
            Call::On(|store| set_passphrase(store, "")),
            seen("a", "old", false),
            seen("a", "", false),
        ),
        row(
            "clients of a stock service",
            started,
            Call::On(|store| take_clients_over(store, "abc")),
            seen("", "", true),
            seen("abc", "", false),
        ),
        row(
            "clients of a stock service, beside others",
            with_a_read_only_client,
            Call::On(|store| take_clients_over(store, "abc")),
            seen("aB", "old", false),
            seen("aBc", "old", false),
        ),
        row(
            "a stock service's passphrase",
            |data| {
                by_hand(data, &client('a').to_pem());
                started(data);
            },
            Call::On(take_passphrase_over),
            seen("a", "", false),
            seen("a", "stock", false),
        ),
        row(
            "a hash of ours in the place of a stock service's",
            |data| {
                by_hand(data, &client('a').to_pem());
                take_passphrase_over(&open(data).unwrap()).unwrap();
            },
            Call::On(rehash),
            seen("a", "stock", false),
            seen("a", "new", false),
        ),
    ]
}
