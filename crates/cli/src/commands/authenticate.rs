//! `authenticate`: shows the service the passphrase, or a token, so that it knows this user's certificate from then on.
//!
//! What is meant as a token is no passphrase, whole or not: it is for one service alone.

use super::token::enrol;
use crate::args::AuthenticateArgs;
use crate::connection::{Context, SelectedRemote, Service, once};
use crate::credentials::{Token, token};
use crate::error::Error;
use crate::terminal::Secret;
use crate::terminal::prompt::{self, Prompt, stdin_is_terminal};

/// What is asked, to the letter of the stock client's, unless the passphrase is a remote's.
pub(super) fn question(context: &Context) -> Result<String, Error> {
    Ok(match context.selected_remote()? {
        Some(SelectedRemote { remote, .. }) if !remote.name.is_local() => {
            format!("Please enter passphrase for {}, {}: ", remote.name, remote.endpoint)
        }
        _ => "Please enter passphrase: ".to_owned(),
    })
}

/// Runs the command. Success prints nothing; of a token, who one is now is told beside the output.
///
/// # Errors
/// No passphrase was given, or a token that is none, or the service refused it.
pub(super) async fn run(context: &Context, args: AuthenticateArgs) -> Result<String, Error> {
    if !args.rest.is_empty() {
        return Err(Error::usage(
            "Too many arguments given",
            Some("See `multipass help authenticate`.".to_owned()),
        ));
    }
    let is_seen = args.passphrase.is_some();
    let passphrase = match (args.passphrase, &args.passphrase_file) {
        (Some(given), _) => Secret::new(given),
        (None, Some(file)) => prompt::passphrase_in(file).await?,
        (None, None) => {
            let question = question(context)?;
            // Who types it is to know beforehand for whom, and may be asked, with echo, whether that is who is meant.
            // What comes through a pipe is sent to nobody else either.
            if stdin_is_terminal() {
                Service::verify(context).await?;
            }
            Prompt::open()?.secret(&question).await?
        }
    };
    let is_token = token::is_token_like(passphrase.expose());
    if is_seen {
        // Of a token too: whoever sees it can be the quicker one.
        let secret = if is_token { "a token" } else { "a passphrase" };
        prompt::note_visible_argument(
            secret,
            "leave it out to be asked, or name a file with --passphrase-file",
        );
    }
    if is_token {
        return enrol(context, &Token::parse(passphrase.expose())?).await.map(|()| String::new());
    }
    if passphrase.is_empty() {
        let next = match &args.passphrase_file {
            _ if is_seen => {
                "Leave it out to be asked, or name a file whose first line is the passphrase with --passphrase-file."
                    .to_owned()
            }
            Some(file) => format!("Put the passphrase into the first line of {}.", file.display()),
            None => "Type the passphrase, or pipe it in as one line. An administrator knows it.".to_owned(),
        };
        return Err(Error::usage("No passphrase given", Some(next)));
    }

    let mut service = Service::connect(context).await?;
    service.note_call("authenticate");
    let request = rpc::AuthenticateRequest {
        passphrase: passphrase.for_request(),
        verbosity_level: service.verbosity_level(),
    };
    let answer = service.rpc.authenticate(once(request)).await;
    service.read_replies(answer, drop).await?;
    Ok(String::new())
}
