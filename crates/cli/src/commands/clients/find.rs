//! Which client a word means.

use rpc::trust::Client;

use super::display_name;
use crate::error::Error;
use crate::terminal::text;

/// Shorter beginnings of a fingerprint name no client: a slip of the finger would too easily be one.
const SHORTEST_PREFIX: usize = 6;
/// The digits of a whole fingerprint: SHA-256 in hexadecimal.
const FINGERPRINT: usize = 64;
/// So many clients are named that a word may mean.
const NAMED: usize = 10;

/// The one client that is called `word`, or whose name or fingerprint begins so. Whose name is the whole word goes
/// before those whose names only begin so.
///
/// # Errors
/// There is none, or more than one.
pub(super) fn find_client<'a>(clients: &'a [Client], word: &str) -> Result<&'a Client, Error> {
    let digits = word.to_ascii_lowercase();
    let is_prefix = digits.len() >= SHORTEST_PREFIX && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_called = |client: &Client| !word.is_empty() && client.name == word;
    let one_is_called = clients.iter().any(is_called);
    let meant = |client: &&Client| {
        let by_name =
            if one_is_called { is_called(client) } else { !word.is_empty() && client.name.starts_with(word) };
        by_name || is_prefix && client.fingerprint.starts_with(&digits)
    };
    // A whole fingerprint is that client's alone, whatever others are called.
    if let Some(client) =
        clients.iter().find(|client| digits.len() == FINGERPRINT && client.fingerprint == digits)
    {
        return Ok(client);
    }
    let found: Vec<&Client> = clients.iter().filter(meant).collect();
    let word = text::one_line(word);
    match found.as_slice() {
        [client] => Ok(client),
        [] => Err(Error::failed(
            format!("no trusted client has a name or a fingerprint that begins with '{word}'"),
            format!(
                "`multipass clients list` shows them all; of a fingerprint, at least {SHORTEST_PREFIX} digits \
                 are needed."
            ),
        )),
        several => {
            let mut names: Vec<String> = several
                .iter()
                .take(NAMED)
                .map(|client| format!("  {}", display_name(&client.name, &client.fingerprint)))
                .collect();
            if several.len() > NAMED {
                names.push(format!("  and {} more", several.len() - NAMED));
            }
            Err(Error::failed(
                format!("'{word}' may be any of these clients:\n{}", names.join("\n")),
                "Name one by its whole name, or by more digits of its fingerprint; `multipass clients list --format \
                 csv` shows them in full."
                    .to_owned(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_fingerprint_shields_nobody() {
        let (hers, another) = ("ab".repeat(32), "cd".repeat(32));
        let clients = [client(&hers, &another), client("alice", &hers)];
        assert_eq!(find_client(&clients, &hers).ok(), Some(&clients[1]));
        assert_eq!(find_client(&clients, &hers.to_uppercase()).ok(), Some(&clients[1]));
        assert_eq!(find_client(&clients, &another).ok(), Some(&clients[0]));
    }

    fn client(name: &str, fingerprint: &str) -> Client {
        Client { name: name.to_owned(), fingerprint: fingerprint.to_owned(), ..Client::default() }
    }

    #[test]
    fn a_name_or_the_beginning_of_a_fingerprint() {
        let clients = [
            client("alice", "aaaaaa11"),
            client("bob", "aaaaaa22"),
            client("bob", "bbbbbb33"),
            client("", "cccccc44"),
            client("cccccc44", "dddddd55"),
            client("laptop", "eeeeee66"),
            client("laptop-2", "eeeeee77"),
            client("laptop-3", "eeeeee88"),
            client("facade-x", "eeeeee99"),
            client("", "facade10"),
        ];
        for (word, expected) in [
            ("alice", Ok("aaaaaa11")),
            ("aaaaaa1", Ok("aaaaaa11")),
            ("AAAAAA2", Ok("aaaaaa22")),
            ("bbbbbb", Ok("bbbbbb33")),
            ("dddddd55", Ok("dddddd55")),
            ("al", Ok("aaaaaa11")),
            ("laptop", Ok("eeeeee66")),
            ("laptop-2", Ok("eeeeee77")),
            ("lap", Err("laptop (eeeeee66)\n  laptop-2 (eeeeee77)\n  laptop-3 (eeeeee88)")),
            ("facade", Err("facade-x (eeeeee99)\n  facade10")),
            ("bob", Err("bob (aaaaaa22)\n  bob (bbbbbb33)")),
            ("aaaaaa", Err("alice (aaaaaa11)\n  bob (aaaaaa22)")),
            ("cccccc44", Err("  cccccc44\n  cccccc44 (dddddd55)")),
            ("bbbbb", Err("no trusted client has a name or a fingerprint that begins with 'bbbbb'")),
            ("Alice", Err("no trusted client")),
            ("alicea", Err("no trusted client")),
            ("carol", Err("no trusted client")),
            ("", Err("no trusted client")),
        ] {
            match (find_client(&clients, word), expected) {
                (Ok(found), Ok(fingerprint)) => assert_eq!(found.fingerprint, fingerprint, "{word}"),
                (Err(error), Err(part)) => {
                    assert!(error.message().contains(part), "{word}: {}", error.message());
                    assert!(error.next_step().expect("a step").contains("multipass clients list"), "{word}");
                    assert_eq!(error.exit_code(), 2);
                }
                (found, _) => panic!("{word}: {found:?}"),
            }
        }
    }

    #[test]
    fn of_many_a_few_are_named() {
        let clients: Vec<Client> = (10..22).map(|number| client("x", &number.to_string())).collect();
        let message = find_client(&clients, "x").expect_err("ambiguous").message();
        assert!(message.ends_with("x (19)\n  and 2 more"), "{message}");
    }
}
