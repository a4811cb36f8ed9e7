//! `token`: lets a client in that nobody has to know beforehand. By our own service, which stock daemons do not have.

mod addresses;
mod create;
mod dial;
mod redeem;
mod revoke;

use rpc::trust::{ListTokensRequest, Token};
use tonic::{Code, Response, Status};
use transport::Endpoint;

use super::clients;
use crate::args::{TokenArgs, TokenCommand, help};
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::format;
pub(crate) use redeem::{enrol, redeem, redeem_at_any};

/// Runs the command.
///
/// # Errors
/// It cannot be done, or the call failed.
pub(super) async fn run(context: &Context, args: &TokenArgs) -> Result<String, Error> {
    match &args.action {
        None => Ok(help::named("token")),
        Some(TokenCommand::Create(args)) => create::run(context, args).await,
        Some(TokenCommand::List(args)) => {
            let mut service = Service::connect_as_administrator(context).await?;
            format::tokens::tokens(&list_tokens(&mut service).await?, args.format)
        }
        Some(TokenCommand::Revoke(args)) => revoke::run(context, args).await,
    }
}

/// All tokens that may still be used, the oldest first.
async fn list_tokens(service: &mut Service) -> Result<Vec<Token>, Error> {
    service.note_call("ListTokens");
    let answer = service.trust.list_tokens(ListTokensRequest {}).await;
    let mut tokens = into_reply(&service.endpoint, answer)?.tokens;
    tokens.sort_by(|one, other| (&one.created, &one.id).cmp(&(&other.created, &other.id)));
    Ok(tokens)
}

/// The answer of our own service, or what its refusal means.
fn into_reply<T>(endpoint: &Endpoint, answer: Result<Response<T>, Status>) -> Result<T, Error> {
    match answer {
        Err(status) if status.code() == Code::Unimplemented => {
            Err(tokens_unsupported(endpoint, "Set a passphrase instead: `multipass set local.passphrase`."))
        }
        answer => clients::into_reply(endpoint, answer),
    }
}

/// A service of others, or one of ours from before there were tokens.
fn tokens_unsupported(endpoint: &Endpoint, next: &str) -> Error {
    Error::failed(
        format!("the service at {endpoint} does not know tokens: it is a stock service, or an older one"),
        next.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let endpoint: Endpoint = "unix:/run/socket".parse().expect("an address");
        for (status, message, next) in [
            (
                Status::unimplemented("unknown"),
                "unix:/run/socket does not know tokens",
                "multipass set local.passphrase",
            ),
            (Status::unauthenticated("stranger"), "root over the service's Unix socket", "Run it with sudo"),
        ] {
            let error = into_reply::<()>(&endpoint, Err(status)).expect_err("a refusal");
            assert!(error.message().contains(message), "{}", error.message());
            assert!(error.next_step().expect("a step").contains(next));
            assert_eq!(error.exit_code(), 2);
        }
    }
}
