//! What the daemon makes of each of its files, directories and locks when it finds it spoilt at its start.
//! `docs/states.md` has these tables, and says what the words mean.

mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use e2e::{is_root, skip};

use self::scene::{Scene, State};

/// A file of a daemon that has a client, `alice`, one that may only read, one that was revoked, a passphrase and a token;
/// and what comes of it in each state.
struct Row {
    path: &'static str,
    outcomes: &'static [(State, &'static str)],
}

use State::{
    Absent, Another, Directory, Empty, Fifo, Garbage, Link, LinkToNothing, LockedByAnother, OthersMayWrite,
    Torn, Unreadable,
};

const SERVES: &str = "serves";
const REFUSES: &str = "refuses";
const NOBODY: &str = "trusts nobody";
const NO_READERS: &str = "no read-only clients";
const NO_TOKENS: &str = "no tokens";
const NO_PASSPHRASE: &str = "no passphrase";
const NO_GRANTS: &str = "no grants";
const GRANTS_LATER: &str = "grants later";
const WAITS: &str = "waits";
const AWAITS: &str = "awaits the first";

/// With clients.
const TRUST: &[Row] = &[
    Row {
        path: "data/authenticated-certs/multipass_client_certs.pem",
        outcomes: &[
            (Absent, NOBODY),
            (Empty, NOBODY),
            (Torn, NOBODY),
            (Garbage, NOBODY),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, NOBODY),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "data/authenticated-certs/read-only-clients.pem",
        outcomes: &[
            (Absent, NO_READERS),
            (Empty, NO_READERS),
            (Torn, NO_READERS),
            (Garbage, NO_READERS),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, NO_READERS),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "data/authenticated-certs/revoked",
        outcomes: &[
            (Absent, SERVES),
            (Empty, SERVES),
            (Torn, REFUSES),
            (Garbage, REFUSES),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, REFUSES),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "data/authenticated-certs/passphrase.phc",
        outcomes: &[
            (Absent, NO_PASSPHRASE),
            (Empty, NO_PASSPHRASE),
            (Torn, REFUSES),
            (Garbage, REFUSES),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, REFUSES),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "data/authenticated-certs/tokens",
        outcomes: &[
            (Absent, NO_TOKENS),
            (Empty, NO_TOKENS),
            (Torn, NO_TOKENS),
            (Garbage, NO_TOKENS),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, NO_TOKENS),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "data/authenticated-certs/enrolled-once",
        outcomes: &[
            (Absent, SERVES),
            (Empty, SERVES),
            (Torn, SERVES),
            (Garbage, SERVES),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, SERVES),
            (Link, SERVES),
            (LinkToNothing, SERVES),
            (Fifo, SERVES),
        ],
    },
    Row {
        path: "data/authenticated-certs/first-client-awaited",
        outcomes: &[
            (Empty, SERVES),
            (Garbage, SERVES),
            (Another, SERVES),
            (Directory, SERVES),
            (Link, SERVES),
            (LinkToNothing, SERVES),
            (Fifo, SERVES),
        ],
    },
];

/// With clients once, and an emptied trust file since.
const EMPTIED: &[Row] = &[
    Row {
        path: "data/authenticated-certs/enrolled-once",
        outcomes: &[
            (Empty, NOBODY),
            (Torn, NOBODY),
            (Garbage, NOBODY),
            (Another, NOBODY),
            (OthersMayWrite, NOBODY),
            (Directory, NOBODY),
            (Link, NOBODY),
            (LinkToNothing, NOBODY),
            (Fifo, NOBODY),
        ],
    },
    Row {
        path: "data/authenticated-certs/first-client-awaited",
        outcomes: &[
            (Empty, NOBODY),
            (Garbage, NOBODY),
            (Another, NOBODY),
            (Directory, NOBODY),
            (Link, NOBODY),
            (LinkToNothing, NOBODY),
            (Fifo, NOBODY),
        ],
    },
];

/// Of a daemon that nobody has called yet.
const FRESH: &[Row] = &[
    Row {
        path: "data/authenticated-certs/first-client-awaited",
        outcomes: &[
            (Absent, AWAITS),
            (Empty, AWAITS),
            (Torn, AWAITS),
            (Garbage, AWAITS),
            (Another, AWAITS),
            (OthersMayWrite, AWAITS),
            (Directory, REFUSES),
            (Link, AWAITS),
            (LinkToNothing, AWAITS),
            (Fifo, AWAITS),
        ],
    },
    Row {
        path: "data/authenticated-certs/multipass_client_certs.pem",
        outcomes: &[
            (Empty, AWAITS),
            (Garbage, AWAITS),
            (Directory, REFUSES),
            (Link, AWAITS),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "data/audit/grants.jsonl",
        outcomes: &[(Directory, NO_GRANTS), (Link, NO_GRANTS), (Fifo, NO_GRANTS), (Garbage, AWAITS)],
    },
];

/// What proves the service's identity.
const IDENTITY: &[Row] = &[
    Row {
        path: "data/certificates/localhost_root_key.pem",
        outcomes: &[
            (Absent, SERVES),
            (Empty, REFUSES),
            (Torn, REFUSES),
            (Garbage, REFUSES),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, REFUSES),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row { path: "data/certificates/localhost_root.pem", outcomes: MADE_AGAIN },
    Row { path: "data/certificates/localhost.pem", outcomes: MADE_AGAIN },
    Row { path: "data/certificates/localhost_key.pem", outcomes: MADE_AGAIN },
    Row {
        path: "root.pem",
        outcomes: &[
            (Absent, SERVES),
            (Empty, SERVES),
            (Torn, SERVES),
            (Garbage, SERVES),
            (Another, SERVES),
            (OthersMayWrite, SERVES),
            (Directory, REFUSES),
            (Link, SERVES),
            (LinkToNothing, SERVES),
            (Fifo, SERVES),
        ],
    },
];

const MADE_AGAIN: &[(State, &str)] = &[
    (Absent, SERVES),
    (Empty, SERVES),
    (Torn, SERVES),
    (Garbage, SERVES),
    (Another, SERVES),
    (OthersMayWrite, SERVES),
    (Directory, REFUSES),
    (Link, SERVES),
    (LinkToNothing, REFUSES),
    (Fifo, REFUSES),
];

/// The audit log, and what others hold.
const RECORDS: &[Row] = &[
    Row { path: "data/audit/grants.jsonl", outcomes: WRITTEN },
    Row { path: "data/audit/grants.jsonl.lock", outcomes: WRITTEN },
    Row { path: "data/audit/grants.jsonl.lock", outcomes: &[(LockedByAnother, GRANTS_LATER)] },
    Row { path: "data/audit/refusals.jsonl", outcomes: LEFT_ALONE },
    Row { path: "data/audit/refusals.jsonl.lock", outcomes: LEFT_ALONE },
    Row { path: "data/audit/refusals.jsonl.lock", outcomes: &[(LockedByAnother, SERVES)] },
];

const WRITTEN: &[(State, &str)] = &[
    (Absent, SERVES),
    (Empty, SERVES),
    (Torn, SERVES),
    (Garbage, SERVES),
    (Another, SERVES),
    (OthersMayWrite, SERVES),
    (Directory, NO_GRANTS),
    (Link, NO_GRANTS),
    (LinkToNothing, NO_GRANTS),
    (Fifo, NO_GRANTS),
];

const LEFT_ALONE: &[(State, &str)] = &[
    (Absent, SERVES),
    (Empty, SERVES),
    (Torn, SERVES),
    (Garbage, SERVES),
    (Another, SERVES),
    (OthersMayWrite, SERVES),
    (Directory, SERVES),
    (Link, SERVES),
    (LinkToNothing, SERVES),
    (Fifo, SERVES),
];

/// Directories, locks, the socket, and the configuration.
const PLACES: &[Row] = &[
    Row { path: "data", outcomes: OWN_DIRECTORY },
    Row { path: "data/authenticated-certs", outcomes: OWN_DIRECTORY },
    Row { path: "data/certificates", outcomes: OWN_DIRECTORY },
    Row { path: "data/audit", outcomes: OWN_DIRECTORY },
    Row { path: "data/last-seen", outcomes: LEFT_ALONE },
    Row { path: "data/lock", outcomes: LOCK },
    Row { path: "data/lock", outcomes: &[(LockedByAnother, WAITS)] },
    Row { path: "data/daemon.lock", outcomes: LOCK },
    Row { path: "data/daemon.lock", outcomes: &[(LockedByAnother, REFUSES)] },
    Row { path: "run/socket.lock", outcomes: LOCK },
    Row { path: "run/socket.lock", outcomes: &[(LockedByAnother, REFUSES)] },
    Row {
        path: "run/socket",
        outcomes: &[
            (Empty, REFUSES),
            (Garbage, REFUSES),
            (Another, REFUSES),
            (Directory, REFUSES),
            (Link, REFUSES),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "run",
        outcomes: &[
            (Garbage, REFUSES),
            (Another, REFUSES),
            (OthersMayWrite, REFUSES),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
    Row {
        path: "multipassd.toml",
        outcomes: &[
            (Empty, SERVES),
            (Torn, REFUSES),
            (Garbage, REFUSES),
            (Another, REFUSES),
            (OthersMayWrite, REFUSES),
            (Directory, REFUSES),
            (Link, REFUSES),
            (LinkToNothing, REFUSES),
            (Fifo, REFUSES),
        ],
    },
];

const OWN_DIRECTORY: &[(State, &str)] = &[
    (Garbage, REFUSES),
    (Another, REFUSES),
    (OthersMayWrite, SERVES),
    (Link, REFUSES),
    (LinkToNothing, REFUSES),
    (Fifo, REFUSES),
];

const LOCK: &[(State, &str)] = &[
    (Absent, SERVES),
    (Empty, SERVES),
    (Garbage, SERVES),
    (Another, SERVES),
    (OthersMayWrite, SERVES),
    (Directory, REFUSES),
    (Link, REFUSES),
    (LinkToNothing, REFUSES),
    (Fifo, REFUSES),
];

/// What an ordinary user's daemon may not read.
const UNREADABLE: &[Row] = &[
    Row { path: "data/authenticated-certs/multipass_client_certs.pem", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/authenticated-certs/read-only-clients.pem", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/authenticated-certs/revoked", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/authenticated-certs/tokens", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/authenticated-certs/passphrase.phc", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/authenticated-certs/enrolled-once", outcomes: &[(Unreadable, SERVES)] },
    Row { path: "data/certificates/localhost_root_key.pem", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/certificates/localhost_root.pem", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/certificates/localhost.pem", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/certificates/localhost_key.pem", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "root.pem", outcomes: &[(Unreadable, SERVES)] },
    Row { path: "data/audit/grants.jsonl", outcomes: &[(Unreadable, NO_GRANTS)] },
    Row { path: "data/audit/grants.jsonl.lock", outcomes: &[(Unreadable, NO_GRANTS)] },
    Row { path: "data/audit/refusals.jsonl", outcomes: &[(Unreadable, SERVES)] },
    Row { path: "data/audit/refusals.jsonl.lock", outcomes: &[(Unreadable, SERVES)] },
    Row { path: "data", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/authenticated-certs", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/certificates", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/audit", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/last-seen", outcomes: &[(Unreadable, SERVES)] },
    Row { path: "data/lock", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "data/daemon.lock", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "run", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "run/socket.lock", outcomes: &[(Unreadable, REFUSES)] },
    Row { path: "multipassd.toml", outcomes: &[(Unreadable, REFUSES)] },
];

const TABLES: [(&str, &[Row]); 7] = [
    ("Who is trusted", TRUST),
    ("The same, when the trust file was emptied", EMPTIED),
    ("Before the first client", FRESH),
    ("What proves the service's identity", IDENTITY),
    ("The audit log", RECORDS),
    ("Directories, locks, the socket and the configuration", PLACES),
    ("What an ordinary user's daemon may not read", UNREADABLE),
];

#[track_caller]
fn check(rows: &[Row], scene: fn() -> Scene) {
    if !is_root() {
        return skip("needs root, for files of other users");
    }
    let scene = scene();
    let mut wrong = Vec::new();
    for row in rows {
        for (state, expected) in row.outcomes {
            let found = scene.outcome(row.path, *state);
            if found != *expected {
                wrong.push(format!("{} {state}: expected {expected:?}, found {found:?}", row.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn of_those_who_are_trusted() {
    check(TRUST, Scene::with_clients);
}

#[test]
fn of_an_emptied_store() {
    check(EMPTIED, Scene::emptied);
}

#[test]
fn before_the_first_client() {
    check(FRESH, Scene::fresh);
}

#[test]
fn of_the_services_identity() {
    check(IDENTITY, Scene::with_clients);
}

#[test]
fn of_the_audit_log() {
    check(RECORDS, Scene::with_clients);
}

#[test]
fn of_directories_locks_socket_and_configuration() {
    check(PLACES, Scene::with_clients);
}

#[test]
fn of_what_an_ordinary_user_may_not_read() {
    check(UNREADABLE, Scene::of_an_ordinary_user);
}

#[test]
fn the_documentation_has_these_tables() {
    let mut text = String::new();
    for (title, rows) in TABLES {
        let outcomes: BTreeMap<(&str, State), &str> = rows
            .iter()
            .flat_map(|row| row.outcomes.iter().map(|(state, outcome)| ((row.path, *state), *outcome)))
            .collect();
        assert_eq!(
            outcomes.len(),
            rows.iter().map(|row| row.outcomes.len()).sum::<usize>(),
            "{title}: twice the same"
        );
        let states: BTreeSet<State> = outcomes.keys().map(|(_, state)| *state).collect();
        let _ = write!(text, "\n## {title}\n\n| path |");
        for state in &states {
            let _ = write!(text, " {state} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(states.len()));
        let mut paths: Vec<&str> = rows.iter().map(|row| row.path).collect();
        paths.dedup();
        for path in paths {
            let _ = write!(text, "| `{path}` |");
            for state in &states {
                let _ = write!(text, " {} |", outcomes.get(&(path, *state)).unwrap_or(&"--"));
            }
            text.push('\n');
        }
    }
    let documented = include_str!("../../../docs/states.md");
    assert!(documented.contains(&text), "docs/states.md should have:\n{text}");
}
