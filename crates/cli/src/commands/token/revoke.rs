//! `token revoke`: a token that nobody has used yet is useless from then on.

use rpc::trust::{RevokeTokenRequest, Token};

use super::{into_reply, list_tokens};
use crate::args::RevokeTokenArgs;
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::terminal::text;

/// Runs the command.
///
/// # Errors
/// There is no such token, or the service refused.
pub(super) async fn run(context: &Context, args: &RevokeTokenArgs) -> Result<String, Error> {
    let mut service = Service::connect_as_administrator(context).await?;
    let tokens = list_tokens(&mut service).await?;
    let token = find_token(&tokens, &args.id)?;
    service.note_call("RevokeToken");
    let answer = service.trust.revoke_token(RevokeTokenRequest { id: token.id.clone() }).await;
    into_reply(&service.endpoint, answer)?;
    Ok(format!("The token {} can no longer be used.\n", display_name(token)))
}

/// The one token whose ID begins with `word`.
///
/// # Errors
/// There is none, or more than one.
fn find_token<'a>(tokens: &'a [Token], word: &str) -> Result<&'a Token, Error> {
    let digits = word.to_ascii_lowercase();
    let found: Vec<&Token> =
        tokens.iter().filter(|token| !digits.is_empty() && token.id.starts_with(&digits)).collect();
    match found.as_slice() {
        [token] => Ok(token),
        [] => Err(Error::failed(
            format!("no token that can still be used has an ID that begins with '{}'", text::one_line(word)),
            "`multipass token list` shows them all. A client that has used one is revoked by `multipass clients \
             revoke`."
                .to_owned(),
        )),
        several => {
            let names: Vec<String> = several.iter().map(|token| format!("  {}", display_name(token))).collect();
            Err(Error::failed(
                format!("'{}' may be any of these tokens:\n{}", text::one_line(word), names.join("\n")),
                "Give more of the ID.".to_owned(),
            ))
        }
    }
}

/// What to call a token in a sentence.
fn display_name(token: &Token) -> String {
    let Token { id, name, .. } = token;
    text::one_line(&if name.is_empty() { id.clone() } else { format!("{id} ({name})") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_one_id_is_enough() {
        let token = |id: &str, name: &str| Token { id: id.into(), name: name.into(), ..Token::default() };
        let tokens = [token("0f3a11", "alice"), token("0f3a22", ""), token("1e11", "bob")];
        for (word, expected) in [
            ("0f3a11", Ok("0f3a11")),
            ("0F3A2", Ok("0f3a22")),
            ("1", Ok("1e11")),
            ("0f", Err("any of these tokens:\n  0f3a11 (alice)\n  0f3a22")),
            ("0f3a111", Err("begins with '0f3a111'")),
            ("alice", Err("begins with 'alice'")),
            ("", Err("begins with ''")),
        ] {
            match (find_token(&tokens, word), expected) {
                (Ok(found), Ok(id)) => assert_eq!(found.id, id, "{word}"),
                (Err(error), Err(part)) => {
                    assert!(error.message().contains(part), "{word}: {}", error.message());
                    assert_eq!(error.exit_code(), 2);
                }
                (found, _) => panic!("{word}: {found:?}"),
            }
        }
    }
}
