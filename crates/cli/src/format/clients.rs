//! Output of `clients list`.

use rpc::trust::Client;
use serde_json::{Map, Value, json};

use super::table::Table;
use super::values::or_unknown;
use crate::args::Format;
use crate::error::Error;

/// How much of a fingerprint people are shown: enough to name one client of many, and to give it back.
const SHORT: usize = 12;
/// Said instead of a table when there are no clients.
const NO_CLIENTS: &str = "No clients are trusted.\n";

/// The beginning of a fingerprint.
pub(crate) fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHORT).unwrap_or(fingerprint)
}

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
            &["Fingerprint", "Name", "Added", "How", "From"],
            clients.iter().map(|client| {
                let Client { fingerprint, name, added, how, from } = client;
                [fingerprint, name, added, how, from].map(String::clone).into()
            }),
        ),
    }
}

fn table(clients: &[Client]) -> String {
    if clients.is_empty() {
        return NO_CLIENTS.to_owned();
    }
    let mut table = Table::new(&[("Name", 0), ("Fingerprint", 0), ("Added", 0), ("How", 0), ("From", 0)]);
    for client in clients {
        let [name, added, how, from] =
            [&client.name, &client.added, &client.how, &client.from].map(|text| or_unknown(text));
        table.push([name, short(&client.fingerprint), added, how, from]);
    }
    table.finish()
}

fn entries(clients: &[Client]) -> Value {
    let entry = |client: &Client| {
        json!({
            "fingerprint": client.fingerprint,
            "name": client.name,
            "added": client.added,
            "how": client.how,
            "from": client.from,
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
            },
            Client { fingerprint: "fedcba9876543210".repeat(4), ..Client::default() },
        ]
    }

    #[test]
    fn no_clients() {
        for (format, expected) in [
            (Format::Table, NO_CLIENTS),
            (Format::Json, "{\n    \"clients\": []\n}\n"),
            (Format::Csv, "Fingerprint,Name,Added,How,From\n"),
            (Format::Yaml, "clients: []\n"),
        ] {
            assert_eq!(clients(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn two_clients() {
        let found = some_clients();
        let table = "\
Name   Fingerprint   Added                 How           From
alice  0123456789ab  2026-01-02T03:04:05Z  first-client  uid:1000
--     fedcba987654  --                    --            --
";
        let json = r#"{
    "clients": [
        {
            "fingerprint": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "name": "alice",
            "added": "2026-01-02T03:04:05Z",
            "how": "first-client",
            "from": "uid:1000"
        },
        {
            "fingerprint": "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
            "name": "",
            "added": "",
            "how": "",
            "from": ""
        }
    ]
}
"#;
        let csv = "\
Fingerprint,Name,Added,How,From
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,alice,2026-01-02T03:04:05Z,first-client,uid:1000
fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210,,,,
";
        let yaml = "\
clients:
  - fingerprint: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    name: alice
    added: \"2026-01-02T03:04:05Z\"
    how: first-client
    from: uid:1000
  - fingerprint: fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210
    name: \"\"
    added: \"\"
    how: \"\"
    from: \"\"
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(clients(&found, format).expect("text"), expected);
        }
    }

    #[test]
    fn what_a_service_sends_cannot_drive_the_terminal() {
        let hostile =
            Client { name: "\u{1b}[2Jx\ny".into(), fingerprint: "\u{e4}".repeat(64), ..Client::default() };
        let text = clients(&[hostile], Format::Table).expect("text");
        assert!(text.contains("\n[2Jx y  \u{e4}") && !text.contains('\u{1b}'), "{text:?}");
    }
}
