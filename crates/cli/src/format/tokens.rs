//! Output of `token create` and `token list`.

use rpc::trust::Token;
use serde_json::{Map, Value, json};

use super::table::Table;
use super::values::or_unknown;
use crate::args::Format;
use crate::credentials::fingerprint;
use crate::error::Error;

/// Said instead of a table when there are no tokens.
const NO_TOKENS: &str = "No tokens are waiting to be used.\n";

/// A token that was just made.
pub(crate) struct NewToken<'a> {
    /// The token itself.
    pub(crate) token: &'a str,
    /// By what it is listed and revoked.
    pub(crate) id: &'a str,
    /// What the client will be called; may be empty.
    pub(crate) name: &'a str,
    /// What the client may do.
    pub(crate) level: &'a str,
    /// When it ends.
    pub(crate) expires: &'a str,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
    /// The fingerprint of the service's root.
    pub(crate) root: String,
}

/// A new token; as a table it is nothing but the token, to be piped or copied.
///
/// # Errors
/// It cannot be put into `format`.
pub(crate) fn created(created: &NewToken<'_>, format: Format) -> Result<String, Error> {
    let NewToken { token, id, name, level, expires, addresses, root } = created;
    let entries = || {
        json!({
            "token": token,
            "id": id,
            "name": name,
            "level": level,
            "expires": expires,
            "addresses": addresses,
            "root_fingerprint": root,
        })
    };
    match format {
        Format::Table => Ok(format!("{token}\n")),
        Format::Json => super::json(&entries()),
        Format::Yaml => match entries() {
            Value::Object(entries) => super::yaml(entries),
            _ => Ok(String::new()),
        },
        Format::Csv => super::csv(
            &["Token", "ID", "Name", "Level", "Expires", "Addresses", "Root fingerprint"],
            [[token, id, name, level, expires, addresses.join(",").as_str(), root].map(str::to_owned).into()],
        ),
    }
}

/// Tokens, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn tokens(tokens: &[Token], format: Format) -> Result<String, Error> {
    match format {
        Format::Table => Ok(table(tokens)),
        Format::Json => super::json(&json!({ "tokens": entries(tokens) })),
        Format::Yaml => super::yaml(Map::from_iter([("tokens".to_owned(), entries(tokens))])),
        Format::Csv => super::csv(
            &["ID", "Name", "Level", "Created", "Expires", "By"],
            tokens.iter().map(|Token { id, name, level, created, expires, by }| {
                [id, name, level, created, expires, by].map(String::clone).into()
            }),
        ),
    }
}

fn table(tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return NO_TOKENS.to_owned();
    }
    let headings = ["ID", "Name", "Level", "Created", "Expires", "By"];
    let mut table = Table::new(&headings.map(|heading| (heading, 0)));
    for Token { id, name, level, created, expires, by } in tokens {
        table.push([id, name, level, created, expires, fingerprint::short(by)].map(or_unknown));
    }
    table.finish()
}

fn entries(tokens: &[Token]) -> Value {
    let entry = |token: &Token| {
        json!({
            "id": token.id,
            "name": token.name,
            "level": token.level,
            "created": token.created,
            "expires": token.expires,
            "by": token.by,
        })
    };
    tokens.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tokens() {
        for (format, expected) in [
            (Format::Table, NO_TOKENS),
            (Format::Json, "{\n    \"tokens\": []\n}\n"),
            (Format::Csv, "ID,Name,Level,Created,Expires,By\n"),
            (Format::Yaml, "tokens: []\n"),
        ] {
            assert_eq!(tokens(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn two_tokens() {
        let found = [
            Token {
                id: "0f3a5c01".into(),
                name: "alice".into(),
                level: "full".into(),
                created: "2026-01-02T03:04:05Z".into(),
                expires: "2026-01-03T03:04:05Z".into(),
                by: "0123456789abcdef".repeat(4),
            },
            Token { id: "1e2d".into(), level: "read-only".into(), by: "root".into(), ..Token::default() },
        ];
        let table = "\
ID        Name   Level      Created               Expires               By
0f3a5c01  alice  full       2026-01-02T03:04:05Z  2026-01-03T03:04:05Z  0123456789ab
1e2d      --     read-only  --                    --                    root
";
        let json = r#"{
    "tokens": [
        {
            "id": "0f3a5c01",
            "name": "alice",
            "level": "full",
            "created": "2026-01-02T03:04:05Z",
            "expires": "2026-01-03T03:04:05Z",
            "by": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        },
        {
            "id": "1e2d",
            "name": "",
            "level": "read-only",
            "created": "",
            "expires": "",
            "by": "root"
        }
    ]
}
"#;
        let csv = "\
ID,Name,Level,Created,Expires,By
0f3a5c01,alice,full,2026-01-02T03:04:05Z,2026-01-03T03:04:05Z,0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
1e2d,,read-only,,,root
";
        let yaml = "\
tokens:
  - id: 0f3a5c01
    name: alice
    level: full
    created: \"2026-01-02T03:04:05Z\"
    expires: \"2026-01-03T03:04:05Z\"
    by: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  - id: 1e2d
    name: \"\"
    level: read-only
    created: \"\"
    expires: \"\"
    by: root
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(tokens(&found, format).expect("text"), expected);
        }
        let hostile = Token { id: "\u{1b}[2Jx\ny".into(), by: "\u{e4}".repeat(64), ..Token::default() };
        let text = table_of(hostile);
        assert!(text.contains("\n[2Jx y  --") && !text.contains('\u{1b}'), "{text:?}");
    }

    fn table_of(token: Token) -> String {
        tokens(&[token], Format::Table).expect("text")
    }

    #[test]
    fn a_new_token() {
        let made = NewToken {
            token: "mpt1_x",
            id: "0f3a",
            name: "alice",
            level: "full",
            expires: "2026-01-03T03:04:05Z",
            addresses: vec!["a:1".into(), "b:2".into()],
            root: "abcd".into(),
        };
        let json = r#"{
    "token": "mpt1_x",
    "id": "0f3a",
    "name": "alice",
    "level": "full",
    "expires": "2026-01-03T03:04:05Z",
    "addresses": [
        "a:1",
        "b:2"
    ],
    "root_fingerprint": "abcd"
}
"#;
        let yaml = "\
token: mpt1_x
id: 0f3a
name: alice
level: full
expires: \"2026-01-03T03:04:05Z\"
addresses:
  - a:1
  - b:2
root_fingerprint: abcd
";
        let csv = "\
Token,ID,Name,Level,Expires,Addresses,Root fingerprint
mpt1_x,0f3a,alice,full,2026-01-03T03:04:05Z,\"a:1,b:2\",abcd
";
        for (format, expected) in
            [(Format::Table, "mpt1_x\n"), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(created(&made, format).expect("text"), expected);
        }
    }
}
