//! `remote add`: has a service prove itself, and gives it a name.

use transport::Endpoint;

use super::result_and_hint;
use crate::args::AddRemoteArgs;
use crate::commands::token;
use crate::connection::{Context, Remote, Remotes, RemotesError, ServerTrust, Service, transports};
use crate::credentials::Token;
use crate::error::Error;
use crate::files::list::OnConflict;
use crate::terminal::prompt::{self, Prompt};
use crate::terminal::{Secret, output, text};

/// Runs the command. Without a token, the service learns nothing of this client, not even its certificate.
///
/// # Errors
/// The name is taken, there is no service, it is not trusted, or the name cannot be kept.
pub(super) async fn run(context: &Context, args: &AddRemoteArgs) -> Result<String, Error> {
    let AddRemoteArgs { name, address, token, replace } = args;
    let remotes = Remotes::of_user()?;
    let before = match remotes.read()?.find(name) {
        Ok(_) if name.is_local() => return Err(RemotesError::Local.into()),
        // Before anybody is asked anything. Another client may still be quicker.
        Ok(_) if !replace => return Err(RemotesError::Exists(name.clone()).into()),
        Ok(before) => Some(before),
        Err(_) => None,
    };
    if let Some(text) = token {
        let token = token_in(text).await?;
        return by_token(context, args, &remotes, before.as_ref(), &token).await;
    }
    let Some(endpoint) = address else {
        return Err(Error::usage("No address given", Some("See `multipass help remote add`.".to_owned())));
    };
    let transport = transports::for_endpoint(endpoint)?;
    let trust = ServerTrust::for_new_remote(context, endpoint, &*transport, before.as_ref()).await?;
    context.note(|| format!("connecting to {endpoint}"));
    drop(Service::connect_to(context, endpoint, &*transport, &trust, None).await?);

    let remote = Remote { name: name.clone(), endpoint: endpoint.clone(), fingerprint: trust.fingerprint() };
    remotes.add(&remote, on_conflict(args))?;
    done(&remote, &trust.describe())
}

/// What becomes of a remote that has the name already.
fn on_conflict(args: &AddRemoteArgs) -> OnConflict {
    if args.replace { OnConflict::Replace } else { OnConflict::Refuse }
}

/// The token on the command line, or the one that is asked for.
async fn token_in(text: &str) -> Result<Token, Error> {
    let token = match text {
        "-" => Prompt::open()?.secret("Please enter token: ").await?,
        text => {
            prompt::note_visible_argument("a token", "give - in its place to be asked");
            Secret::new(text.to_owned())
        }
    };
    Ok(Token::parse(token.expose())?)
}

/// Has the service that made a token let this client in, and keeps it by the root in the token.
async fn by_token(
    context: &Context,
    args: &AddRemoteArgs,
    remotes: &Remotes,
    before: Option<&Remote>,
    token: &Token,
) -> Result<String, Error> {
    let remote_at = |endpoint: &Endpoint| {
        let (name, endpoint) = (args.name.clone(), endpoint.clone());
        Remote { name, endpoint, fingerprint: Some(token.root()) }
    };
    // A token is good for once: what can be seen to before is.
    let check = |endpoint: &Endpoint| {
        ServerTrust::check_token_of_remote(endpoint, token.root(), before)?;
        Ok(remote_at(endpoint).check()?)
    };
    let (endpoint, enrolment) = match &args.address {
        Some(endpoint) => {
            check(endpoint)?;
            (endpoint, token::redeem(context, endpoint, token).await?)
        }
        None if token.addresses().is_empty() => {
            let next = "Name it: `multipass remote add NAME ADDRESS --token TOKEN`.".to_owned();
            return Err(Error::usage("The token does not tell its service's address", Some(next)));
        }
        None => {
            let elsewhere = "name its address from here";
            let (endpoint, (), enrolment) = token::redeem_at_any(context, token, check, elsewhere).await?;
            (endpoint, enrolment)
        }
    };
    output::tell(&enrolment.summary(endpoint));
    let remote = remote_at(endpoint);
    remotes.add(&remote, on_conflict(args)).map_err(|fault| {
        let next = format!(
            "{} Then run `multipass remote add {} {} --fingerprint {}`; the token is used up.",
            fault.next_step(),
            args.name,
            text::shell_quoted(&endpoint.to_string()),
            token.root()
        );
        Error::failed(format!("the service trusts this client, but the remote is not kept: {fault}"), next)
    })?;
    done(&remote, &format!("the fingerprint {}, as in the token", token.root()))
}

/// Tells what has been done, and then what can be done now.
fn done(remote: &Remote, known_by: &str) -> Result<String, Error> {
    let Remote { name, endpoint, .. } = remote;
    result_and_hint(
        &format!("The remote {name} is {endpoint}, known by {known_by}.\n"),
        &format!(
            "Use `multipass --remote {name} <command>` for one command, or `multipass remote default {name}` for all."
        ),
    )
}
