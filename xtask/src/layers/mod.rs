//! `cargo xtask layers`: who may know whom, where a crate lives, and where unsafe code may be, checked against
//! the manifests; and which modules of the two programs use which, against their text.
//!
//! The rules are the tables below. A crate that they do not name is a violation, so that whoever adds one
//! decides what it may know. What a crate does with what it may know is not looked at.

mod graph;
mod modules;

use std::fmt::{self, Display, Formatter};

use anyhow::bail;

use self::graph::{Graph, Kind, Member};
use crate::workspace::Workspace;

/// What one crate, or a family of them, may know of this workspace.
///
/// A name that ends in `*` stands for every crate whose name begins like it.
struct Rule {
    name: &'static str,
    /// What it may depend on, to be built and to run.
    may: &'static [&'static str],
    /// What its tests may depend on beyond that.
    tests_may: &'static [&'static str],
    /// What it must not link, however many crates lie between.
    never_links: &'static [&'static str],
}

const NONE: &[&str] = &[];
const ANY: &[&str] = &["*"];

const RULES: [Rule; 19] = [
    // The judgement knows nothing of the rest, so that it can be read and tested by itself. Its own tests turn its
    // testkit on, by depending on itself, as do those of others that have one.
    Rule {
        name: "auth-core",
        may: &["durable"],
        tests_may: &["auth-core", "faulty-disk", "test-process"],
        never_links: NONE,
    },
    Rule { name: "fetch", may: NONE, tests_may: &["test-servers"], never_links: NONE },
    Rule { name: "durable", may: &["win32"], tests_may: &["test-process"], never_links: NONE },
    Rule { name: "transport", may: &["test-process"], tests_may: &["transport"], never_links: NONE },
    Rule { name: "transport-*", may: &["transport"], tests_may: NONE, never_links: NONE },
    // Neither who may ask, nor how they ask, nor how a machine is run.
    Rule {
        name: "instances",
        may: &["durable", "fetch"],
        tests_may: &["faulty-disk", "instances", "test-servers"],
        never_links: NONE,
    },
    // It is given machines to run, and knows no instances.
    Rule {
        name: "driver-qemu",
        may: &["durable", "instances"],
        tests_may: &["e2e", "ssh"],
        never_links: NONE,
    },
    // It is given streams, and does not know where they lead.
    Rule { name: "ssh", may: NONE, tests_may: &["ssh", "test-servers", "transport"], never_links: NONE },
    // It is given a guest's files, and knows neither the guest nor the terminal.
    Rule { name: "transfer", may: &["ssh"], tests_may: &["test-servers", "transport"], never_links: NONE },
    // It makes system calls, and knows not what for.
    Rule { name: "win32", may: NONE, tests_may: NONE, never_links: NONE },
    Rule { name: "rpc", may: NONE, tests_may: NONE, never_links: NONE },
    Rule {
        name: "daemon",
        may: &[
            "auth-core",
            "driver-qemu",
            "durable",
            "fetch",
            "instances",
            "rpc",
            "ssh",
            "transport",
            "transport-*",
            "win32",
        ],
        tests_may: ANY,
        never_links: NONE,
    },
    // The client is judged; it does not judge.
    Rule {
        name: "cli",
        may: &["fetch", "rpc", "ssh", "transfer", "transport", "transport-*", "win32"],
        tests_may: ANY,
        never_links: &["auth-core", "daemon"],
    },
    Rule {
        name: "bench",
        may: &["auth-core", "rpc", "transport", "transport-*"],
        tests_may: NONE,
        never_links: NONE,
    },
    Rule { name: "e2e", may: ANY, tests_may: ANY, never_links: NONE },
    // Replaces system calls: whose tests link it must choose to.
    Rule { name: "faulty-disk", may: NONE, tests_may: NONE, never_links: NONE },
    Rule { name: "test-process", may: NONE, tests_may: NONE, never_links: NONE },
    // They say what they are told to, and know nothing of who asks.
    Rule { name: "test-servers", may: &["test-process"], tests_may: NONE, never_links: NONE },
    Rule { name: "xtask", may: ANY, tests_may: ANY, never_links: NONE },
];

/// The one crate of the product that sees both the judgement and the transports.
const COMPOSER: &str = "daemon";
/// Measures the one and the other, each by itself, and is not shipped.
const MEASURER: &str = "bench";
const JUDGEMENT: &str = "auth-core";
const TRANSPORTS: [&str; 2] = ["transport", "transport-*"];

/// Where unsafe code is denied, and allowed block by block. Everywhere else it is forbidden.
const UNSAFE_SOMEWHERE: [&str; 3] = ["faulty-disk", "transport-unix", "win32"];

/// Checks this workspace and prints each violation.
///
/// # Errors
/// Where a manifest cannot be read, and where there is a violation.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let graph = Graph::read(workspace)?;
    let mut violations: Vec<String> = violations(&graph).iter().map(ToString::to_string).collect();
    for (program, order) in [(COMPOSER, modules::DAEMON), ("cli", modules::CLIENT)] {
        let sources = workspace.root().join(expected_folder(program)).join("src");
        violations.extend(modules::violations(&sources, &order)?);
    }
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => println!("{} crates, and the modules of both programs, each in its layer", graph.members.len()),
        count => bail!("{count} violations; the rules are in xtask/src/layers"),
    }
    Ok(())
}

/// A rule broken by the crate that stands first.
#[derive(Debug, PartialEq, Eq)]
enum Violation {
    Unknown { name: String },
    Misplaced { name: String, folder: String },
    Knows { name: String, other: String, kind: Kind },
    Links { name: String, other: String },
    Composes { name: String, transport: String },
    Unsafe { name: String, level: Option<String>, expected: &'static str },
}

impl Display for Violation {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(out, "{name}: no rule says what it may know"),
            Self::Misplaced { name, folder } => {
                write!(out, "{name}: is in {folder}, and belongs in {}", expected_folder(name))
            }
            Self::Knows { name, other, kind: Kind::Crate } => {
                write!(out, "{name}: must not depend on {other}")
            }
            Self::Knows { name, other, kind: Kind::Tests } => {
                write!(out, "{name}: must not depend on {other}, even in its tests")
            }
            Self::Links { name, other } => write!(out, "{name}: must not link {other}, and does"),
            Self::Composes { name, transport } => {
                write!(out, "{name}: sees {JUDGEMENT} and {transport}; only {COMPOSER} may see both")
            }
            Self::Unsafe { name, level, expected } => {
                let level = level.as_deref().unwrap_or("not set");
                write!(out, "{name}: the lint unsafe_code is {level}, and must be {expected}")
            }
        }
    }
}

fn violations(graph: &Graph) -> Vec<Violation> {
    graph.members.iter().flat_map(|member| violations_of(member, graph)).collect()
}

fn violations_of(member: &Member, graph: &Graph) -> Vec<Violation> {
    let name = || member.name.clone();
    let mut found = Vec::new();

    // A crate's own name goes before its family's.
    let own = RULES.iter().find(|rule| rule.name == member.name);
    match own.or_else(|| RULES.iter().find(|rule| stands_for(rule.name, &member.name))) {
        None => found.push(Violation::Unknown { name: name() }),
        Some(rule) => {
            for need in &member.needs {
                let more = if need.kind == Kind::Tests { rule.tests_may } else { NONE };
                if !any_stands_for(rule.may, &need.name) && !any_stands_for(more, &need.name) {
                    found.push(Violation::Knows { name: name(), other: need.name.clone(), kind: need.kind });
                }
            }
            let linked = graph.linked_by(&member.name, None);
            let linked = linked.into_iter().filter(|other| any_stands_for(rule.never_links, other));
            found.extend(linked.map(|other| Violation::Links { name: name(), other: other.to_owned() }));
        }
    }

    if ![COMPOSER, MEASURER].contains(&member.name.as_str()) {
        // Who links the composer does not thereby see what it is composed of.
        let seen = graph.linked_by(&member.name, Some(COMPOSER));
        let transport = seen.iter().find(|other| any_stands_for(&TRANSPORTS, other));
        if let (true, Some(transport)) = (seen.contains(JUDGEMENT), transport) {
            found.push(Violation::Composes { name: name(), transport: (*transport).to_owned() });
        }
    }

    if member.folder != expected_folder(&member.name) {
        found.push(Violation::Misplaced { name: name(), folder: member.folder.clone() });
    }

    let expected = if UNSAFE_SOMEWHERE.contains(&member.name.as_str()) { "deny" } else { "forbid" };
    if member.unsafe_code.as_deref() != Some(expected) {
        found.push(Violation::Unsafe { name: name(), level: member.unsafe_code.clone(), expected });
    }
    found
}

fn expected_folder(name: &str) -> String {
    match name {
        "e2e" => "tests".to_owned(),
        "faulty-disk" | "test-process" | "test-servers" => format!("tests/{name}"),
        "bench" | "xtask" => name.to_owned(),
        _ => format!("crates/{name}"),
    }
}

fn any_stands_for(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| stands_for(pattern, name))
}

fn stands_for(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::graph::Need;
    use super::*;

    fn needs<'a>(names: &'a str, kind: Kind) -> impl Iterator<Item = Need> + 'a {
        names.split_whitespace().map(move |name| Need { name: name.to_owned(), kind })
    }

    fn member(name: &str, depends_on: &str, tests_depend_on: &str) -> Member {
        let level = if UNSAFE_SOMEWHERE.contains(&name) { "deny" } else { "forbid" };
        Member {
            name: name.to_owned(),
            folder: expected_folder(name),
            unsafe_code: Some(level.to_owned()),
            needs: needs(depends_on, Kind::Crate).chain(needs(tests_depend_on, Kind::Tests)).collect(),
        }
    }

    /// The workspace as it is meant to be, save for the crates given.
    fn with(others: Vec<Member>) -> Graph {
        let mut members = vec![
            member("auth-core", "durable", "auth-core faulty-disk test-process"),
            member("durable", "win32", "test-process"),
            member("win32", "", ""),
            member("fetch", "", "test-servers"),
            member("instances", "durable fetch", "faulty-disk instances"),
            member("faulty-disk", "", ""),
            member("test-process", "", ""),
            member("test-servers", "test-process", ""),
            member("transport", "test-process", "transport"),
            member("transport-unix", "transport", "transport"),
            member("transport-quic", "transport", "transport"),
            member("transport-tcp", "transport", "transport"),
            member("driver-qemu", "durable instances", "e2e ssh"),
            member("ssh", "", "ssh"),
            member("rpc", "", ""),
            member(
                "daemon",
                "auth-core durable rpc transport transport-quic transport-tcp transport-unix",
                "e2e",
            ),
            member("cli", "rpc transport transport-unix", "auth-core"),
            member("e2e", "rpc transport-unix", "auth-core daemon"),
            member("bench", "auth-core rpc transport transport-unix", ""),
            member("xtask", "", ""),
        ];
        members.retain(|member| others.iter().all(|other| other.name != member.name));
        members.extend(others);
        Graph { members }
    }

    fn knows(name: &str, other: &str, kind: Kind) -> Violation {
        Violation::Knows { name: name.into(), other: other.into(), kind }
    }

    fn links(name: &str, other: &str) -> Violation {
        Violation::Links { name: name.into(), other: other.into() }
    }

    fn composes(name: &str, transport: &str) -> Violation {
        Violation::Composes { name: name.into(), transport: transport.into() }
    }

    #[test]
    fn the_layers_as_meant_are_accepted() {
        assert_eq!(violations(&with(vec![])), []);
    }

    #[test]
    fn each_forbidden_dependency_is_found() {
        use Kind::{Crate, Tests};
        let table = [
            (member("auth-core", "rpc", ""), vec![knows("auth-core", "rpc", Crate)]),
            (member("auth-core", "", "transport"), vec![knows("auth-core", "transport", Tests)]),
            (member("fetch", "", "fetch"), vec![knows("fetch", "fetch", Tests)]),
            (member("auth-core", "faulty-disk", ""), vec![knows("auth-core", "faulty-disk", Crate)]),
            (member("durable", "auth-core", ""), vec![knows("durable", "auth-core", Crate)]),
            (member("fetch", "durable", ""), vec![knows("fetch", "durable", Crate)]),
            (member("instances", "rpc", ""), vec![knows("instances", "rpc", Crate)]),
            (member("driver-qemu", "auth-core", ""), vec![knows("driver-qemu", "auth-core", Crate)]),
            (member("ssh", "instances", ""), vec![knows("ssh", "instances", Crate)]),
            (member("instances", "", "auth-core"), vec![knows("instances", "auth-core", Tests)]),
            (member("transport", "rpc", ""), vec![knows("transport", "rpc", Crate)]),
            (member("transport", "", "rpc"), vec![knows("transport", "rpc", Tests)]),
            (member("transport-tcp", "rpc", ""), vec![knows("transport-tcp", "rpc", Crate)]),
            (member("transport-tcp", "", "auth-core"), vec![knows("transport-tcp", "auth-core", Tests)]),
            (
                member("transport-tcp", "transport transport-unix", ""),
                vec![knows("transport-tcp", "transport-unix", Crate)],
            ),
            (member("rpc", "transport", ""), vec![knows("rpc", "transport", Crate)]),
            (member("daemon", "cli", ""), vec![knows("daemon", "cli", Crate)]),
            (
                member("cli", "auth-core rpc", ""),
                vec![knows("cli", "auth-core", Crate), links("cli", "auth-core")],
            ),
            (member("e2e", "auth-core", ""), vec![]),
            (member("e2e", "daemon", "auth-core transport"), vec![]),
            (member("e2e", "auth-core transport-unix", ""), vec![composes("e2e", "transport")]),
            (member("xtask", "auth-core transport", ""), vec![composes("xtask", "transport")]),
        ];
        for (member, expected) in table {
            let shown = format!("{member:?}");
            // The rules about one crate: what follows for those that depend on it is tested below.
            let graph = with(vec![member]);
            let broken = graph.members.last().unwrap();
            assert_eq!(violations_of(broken, &graph), expected, "{shown}");
        }
    }

    #[test]
    fn the_client_must_not_reach_the_judgement_by_a_detour() {
        let graph = with(vec![member("rpc", "daemon", "")]);
        let cli = graph.members.iter().find(|member| member.name == "cli").unwrap();
        assert_eq!(violations_of(cli, &graph), [links("cli", "auth-core"), links("cli", "daemon")]);
    }

    #[test]
    fn a_detour_to_judgement_and_transports_is_found() {
        let graph = with(vec![member("rpc", "auth-core", "")]);
        let e2e = graph.members.iter().find(|member| member.name == "e2e").unwrap();
        assert_eq!(violations_of(e2e, &graph), [composes("e2e", "transport")]);
    }

    #[test]
    fn a_circle_among_crates_ends() {
        let graph = with(vec![member("transport", "transport-unix", "")]);
        assert!(violations(&graph).contains(&knows("transport", "transport-unix", Kind::Crate)));
    }

    #[test]
    fn a_crate_without_a_rule_is_refused() {
        for name in ["helpers", "transports", "auth"] {
            let expected = Violation::Unknown { name: name.into() };
            assert_eq!(violations(&with(vec![member(name, "", "")])), [expected]);
        }
    }

    #[test]
    fn a_crate_lives_where_its_name_says() {
        for (name, folder) in [
            ("rpc", "crates/wire"),
            ("rpc", "crates/rpc/rpc"),
            ("e2e", "crates/e2e"),
            ("xtask", "tests"),
            ("bench", "crates/bench"),
        ] {
            let moved = Member { folder: folder.into(), ..member(name, "", "") };
            let expected = Violation::Misplaced { name: name.into(), folder: folder.into() };
            assert_eq!(violations(&with(vec![moved])), [expected]);
        }
    }

    #[test]
    fn unsafe_code_is_allowed_in_one_place() {
        for (name, level, expected) in [
            ("rpc", Some("deny"), "forbid"),
            ("rpc", None, "forbid"),
            ("xtask", Some("allow"), "forbid"),
            ("transport-tcp", Some("deny"), "forbid"),
            ("transport-unix", Some("allow"), "deny"),
            // An exception that nobody uses any more has to go.
            ("transport-unix", Some("forbid"), "deny"),
        ] {
            let depends_on = if name.starts_with("transport-") { "transport" } else { "" };
            let level = level.map(str::to_owned);
            let lax = Member { unsafe_code: level.clone(), ..member(name, depends_on, "") };
            assert_eq!(
                violations(&with(vec![lax])),
                [Violation::Unsafe { name: name.into(), level, expected }]
            );
        }
    }
}
