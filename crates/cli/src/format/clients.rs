//! Output of `clients list` and `clients show`.

use rpc::trust::Client;
use serde_json::{Map, Value, json};

use super::table::{Labels, Table};
use super::values::or_unknown;
use crate::args::Format;
use crate::credentials::fingerprint;
use crate::error::Error;

/// The width of the names in front of what is known of one client.
const LABELS: usize = 13;
/// Said instead of a table when there are no clients.
const NO_CLIENTS: &str = "No clients are trusted.\n";

/// Clients, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn clients(clients: &[Client], format: Format) -> Result<String, Error> {
    match format {
        Format::Table => Ok(table(clients)),
        Format::Json => super::json(&json!({ "clients": entries(clients) })),
        Format::Yaml => super::yaml(Map::from_iter([("clients".to_owned(), entries(clients))])),
        Format::Csv => super::csv(
            &["Fingerprint", "Name", "Level", "Added", "How", "From", "Last seen", "Connections"],
            clients.iter().map(columns),
        ),
    }
}

/// One client, in full.
///
/// # Errors
/// It cannot be put into `format`.
pub(crate) fn client(client: &Client, format: Format) -> Result<String, Error> {
    if format != Format::Table {
        return clients(std::slice::from_ref(client), format);
    }
    let columns = columns(client);
    let named = ["Fingerprint", "Name", "Level", "Added", "How", "From", "Last seen", "Connections"];
    let mut labels = Labels::new(LABELS);
    for (name, value) in named.into_iter().zip(&columns) {
        labels.push(name, or_unknown(value));
    }
    Ok(labels.finish())
}

/// What is known of a client, the fingerprint first.
fn columns(client: &Client) -> Vec<String> {
    let Client { fingerprint, name, added, how, from, level, last_seen, connections } = client;
    let connections = connections.to_string();
    [fingerprint, name, level, added, how, from, last_seen, &connections].map(String::clone).into()
}

fn table(clients: &[Client]) -> String {
    if clients.is_empty() {
        return NO_CLIENTS.to_owned();
    }
    let headings = ["Name", "Fingerprint", "Level", "Added", "How", "From", "Last seen", "Connections"];
    let mut table = Table::new(&headings.map(|heading| (heading, 0)));
    for client in clients {
        let [name, level, added, how, from, last_seen] =
            [&client.name, &client.level, &client.added, &client.how, &client.from, &client.last_seen]
                .map(|text| or_unknown(text));
        let connections = client.connections.to_string();
        table.push([
            name,
            fingerprint::short(&client.fingerprint),
            level,
            added,
            how,
            from,
            last_seen,
            &connections,
        ]);
    }
    table.finish()
}

fn entries(clients: &[Client]) -> Value {
    let entry = |client: &Client| {
        json!({
            "fingerprint": client.fingerprint,
            "name": client.name,
            "level": client.level,
            "added": client.added,
            "how": client.how,
            "from": client.from,
            "last_seen": client.last_seen,
            "connections": client.connections,
        })
    };
    clients.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_clients() -> [Client; 2] {
        [
            Client {
                fingerprint: "0123456789abcdef".repeat(4),
                name: "alice".into(),
                added: "2026-01-02T03:04:05Z".into(),
                how: "first-client".into(),
                from: "uid:1000".into(),
                level: "read-only".into(),
                last_seen: "2026-02-03T04:05:06Z".into(),
                connections: 2,
            },
            Client { fingerprint: "fedcba9876543210".repeat(4), ..Client::default() },
        ]
    }

    #[test]
    fn no_clients() {
        for (format, expected) in [
            (Format::Table, NO_CLIENTS),
            (Format::Json, "{\n    \"clients\": []\n}\n"),
            (Format::Csv, "Fingerprint,Name,Level,Added,How,From,Last seen,Connections\n"),
            (Format::Yaml, "clients: []\n"),
        ] {
            assert_eq!(clients(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn two_clients() {
        let found = some_clients();
        let table = "\
Name   Fingerprint   Level      Added                 How           From      Last seen             Connections
alice  0123456789ab  read-only  2026-01-02T03:04:05Z  first-client  uid:1000  2026-02-03T04:05:06Z  2
--     fedcba987654  --         --                    --            --        --                    0
";
        let json = r#"{
    "clients": [
        {
            "fingerprint": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "name": "alice",
            "level": "read-only",
            "added": "2026-01-02T03:04:05Z",
            "how": "first-client",
            "from": "uid:1000",
            "last_seen": "2026-02-03T04:05:06Z",
            "connections": 2
        },
        {
            "fingerprint": "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
            "name": "",
            "level": "",
            "added": "",
            "how": "",
            "from": "",
            "last_seen": "",
            "connections": 0
        }
    ]
}
"#;
        let csv = "\
Fingerprint,Name,Level,Added,How,From,Last seen,Connections
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,alice,read-only,2026-01-02T03:04:05Z,first-client,uid:1000,2026-02-03T04:05:06Z,2
fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210,,,,,,,0
";
        let yaml = "\
clients:
  - fingerprint: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    name: alice
    level: read-only
    added: \"2026-01-02T03:04:05Z\"
    how: first-client
    from: uid:1000
    last_seen: \"2026-02-03T04:05:06Z\"
    connections: 2
  - fingerprint: fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210
    name: \"\"
    level: \"\"
    added: \"\"
    how: \"\"
    from: \"\"
    last_seen: \"\"
    connections: 0
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(clients(&found, format).expect("text"), expected);
        }
    }

    #[test]
    fn one_client() {
        let [alice, nameless] = some_clients();
        let expected = "\
Fingerprint: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
Name:        alice
Level:       read-only
Added:       2026-01-02T03:04:05Z
How:         first-client
From:        uid:1000
Last seen:   2026-02-03T04:05:06Z
Connections: 2
";
        assert_eq!(client(&alice, Format::Table).expect("text"), expected);
        let text = client(&nameless, Format::Table).expect("text");
        assert!(text.contains("\nName:        --\n") && text.ends_with("Connections: 0\n"), "{text}");
        for format in [Format::Json, Format::Csv, Format::Yaml] {
            let alone = [alice.clone()];
            assert_eq!(client(&alice, format).expect("text"), clients(&alone, format).expect("text"));
        }
        let hostile = Client { name: "\u{1b}[2Jx\ny".into(), ..Client::default() };
        let text = client(&hostile, Format::Table).expect("text");
        assert!(text.contains("\nName:        [2Jx y\n") && !text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn what_a_service_sends_cannot_drive_the_terminal() {
        let hostile =
            Client { name: "\u{1b}[2Jx\ny".into(), fingerprint: "\u{e4}".repeat(64), ..Client::default() };
        let text = clients(&[hostile], Format::Table).expect("text");
        assert!(text.contains("\n[2Jx y  \u{e4}") && !text.contains('\u{1b}'), "{text:?}");
    }
}
