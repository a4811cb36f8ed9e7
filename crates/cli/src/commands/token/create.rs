//! `token create`: has the service make a token, and prints it with all that whoever gets it needs.

use std::io::{self, IsTerminal};

use rpc::trust::CreateTokenRequest;
use zeroize::Zeroizing;

use super::addresses::{self, TokenAddresses};
use super::into_reply;
use crate::args::{CreateTokenArgs, Level};
use crate::connection::{Context, Service};
use crate::credentials::token::{MAX_ADDRESSES, Token};
use crate::error::Error;
use crate::format::tokens::{NewToken, created};
use crate::terminal::{output, text};

/// Runs the command. The token is printed here and not returned: it is wiped when that is done.
///
/// # Errors
/// The addresses are too many, or the service refused.
pub(super) async fn run(context: &Context, args: &CreateTokenArgs) -> Result<String, Error> {
    if args.address.len() > MAX_ADDRESSES {
        let next = "Name those that are reached from where the token goes.".to_owned();
        return Err(Error::usage(format!("a token has at most {MAX_ADDRESSES} addresses"), Some(next)));
    }
    let mut service = Service::connect_as_administrator(context).await?;
    service.note_call("CreateToken");
    let level = if args.read_only { Level::ReadOnly } else { Level::Full };
    let request = CreateTokenRequest {
        name: args.name.clone().unwrap_or_default(),
        seconds: args.ttl.as_secs(),
        level: level.name().to_owned(),
    };
    let answer = service.trust.create_token(request).await;
    let reply = into_reply(&service.endpoint, answer)?;
    // One in a form that this client does not know is of no use to it.
    let listens: Vec<_> = reply.addresses.iter().filter_map(|address| address.parse().ok()).collect();
    let addresses = addresses::select(&args.address, &service.endpoint, &listens);
    const INVALID_TOKEN: Error = Error::InvalidReply("the service returned an invalid token");
    let root = reply.root_fingerprint.parse().map_err(|_| INVALID_TOKEN)?;
    let token = Token::new(&reply.secret, root, addresses.chosen.clone()).map_err(|_| INVALID_TOKEN)?;
    let token = token.text();
    let told = created(
        &NewToken {
            token: &token,
            id: &reply.id,
            name: args.name.as_deref().unwrap_or_default(),
            level: level.name(),
            expires: &reply.expires,
            addresses: addresses.chosen.iter().map(ToString::to_string).collect(),
            root: root.to_string(),
        },
        args.format(),
    );
    output::print(&Zeroizing::new(told?)).map_err(Error::Output)?;
    if io::stdout().is_terminal() {
        output::tell(&explanation(&reply.expires, level, &addresses));
    }
    if addresses.are_local && io::stderr().is_terminal() {
        output::tell(&only_here(&addresses));
    }
    Ok(String::new())
}

/// What whoever has made a token on a terminal is told.
fn explanation(expires: &str, level: Level, addresses: &TokenAddresses) -> String {
    let may = match level {
        Level::Full => "do all that you can",
        Level::ReadOnly => "see what there is, and change nothing",
    };
    let place = if addresses.are_local { "as another user of this machine" } else { "on the other machine" };
    format!(
        "It can be used once, until {}. Whoever uses it may {may}.\n\
         To use it, run this {place}, and give it the token when it asks:\n  multipass authenticate",
        text::one_line(expires)
    )
}

/// What whoever makes a token is told if other machines cannot use it.
fn only_here(addresses: &TokenAddresses) -> String {
    let why = match &addresses.unnamed {
        Some(all) => {
            format!("the service listens on {all}, and it is not known how others call this machine")
        }
        None => "no address is known at which another one reaches the service".to_owned(),
    };
    format!(
        "note: the token is for another user of this machine: {why}. For another machine, make one with --address \
         host:port"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_token_fits_it() {
        let here = TokenAddresses { chosen: vec![], are_local: true, unnamed: None };
        let all = TokenAddresses { unnamed: "0.0.0.0:7".parse().ok(), ..here };
        let there = TokenAddresses {
            chosen: vec!["a:1".parse().expect("an address")],
            are_local: false,
            unnamed: None,
        };
        let text = explanation("2026-01-02T03:04:05Z", Level::Full, &there);
        for part in ["once, until 2026-01-02T03:04:05Z.", "do all that you can", "on the other machine"] {
            assert!(text.contains(part), "{text}");
        }
        let text = explanation("\u{1b}[2J", Level::ReadOnly, &all);
        assert!(
            text.contains("change nothing") && text.contains("another user") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(only_here(&all).contains("listens on 0.0.0.0:7"));
        assert!(only_here(&all).contains("--address host:port"));
    }
}
