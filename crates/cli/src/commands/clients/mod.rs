//! `clients`: who may use the service. By our own service, which stock daemons do not have.

mod add;
mod change;
mod find;
mod other_user;
mod revoke;

use rpc::trust::{Client, ListRequest, PassphraseIsSetRequest, SetPassphraseRequest};
use tonic::{Code, Response, Status};
use transport::Endpoint;

use crate::args::{ClientsArgs, ClientsCommand, Format, OwnCertificateArgs};
use crate::connection::{Context, MAX_LIST_SIZE, Service};
use crate::credentials::fingerprint;
use crate::error::Error;
use crate::format;
use crate::terminal::{Secret, prompt};

/// Runs the command.
///
/// # Errors
/// It cannot be done, or the call failed.
pub(super) async fn run(context: &Context, args: &ClientsArgs) -> Result<String, Error> {
    if args.list.format.is_some() && !matches!(args.action, None | Some(ClientsCommand::List(_))) {
        let next = "See `multipass help clients list`.".to_owned();
        return Err(Error::usage("--format belongs to `multipass clients list`", Some(next)));
    }
    match &args.action {
        None => list(context, args.list.format_or(None)).await,
        Some(ClientsCommand::List(below)) => list(context, args.list.format_or(Some(below))).await,
        Some(ClientsCommand::Show(args)) => {
            let mut service = Service::connect_as_administrator(context).await?;
            format::clients::client(
                find::find_client(&list_clients(&mut service).await?, &args.client)?,
                args.format.format,
            )
        }
        Some(ClientsCommand::Rename(args)) => change::rename(context, args).await,
        Some(ClientsCommand::SetLevel(args)) => change::set_level(context, args).await,
        Some(ClientsCommand::Add(args)) => add::run(context, args).await,
        Some(ClientsCommand::Revoke(args)) => revoke::run(context, args).await,
        Some(ClientsCommand::OwnCertificate(args)) => own_certificate(args),
    }
}

async fn list(context: &Context, format: Format) -> Result<String, Error> {
    let mut service = Service::connect_as_administrator(context).await?;
    format::clients::clients(&list_clients(&mut service).await?, format)
}

/// What becomes of a user who has no certificate yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfMissing {
    /// It is made.
    MakeOne,
    /// Nothing is printed, and none is made.
    PrintNothing,
}

/// Prints this user's certificate, or goes on as another user to do so. `multipassd enroll-installer` runs it.
///
/// # Errors
/// There is no certificate and none can be made, or this process cannot go on as that user.
pub(super) fn own_certificate(args: &OwnCertificateArgs) -> Result<String, Error> {
    let if_missing = if args.existing { IfMissing::PrintNothing } else { IfMissing::MakeOne };
    match (&args.as_user, if_missing) {
        (Some(name), _) => Err(other_user::exec_as(name, if_missing)),
        (None, IfMissing::PrintNothing) => add::existing_certificate(),
        (None, IfMissing::MakeOne) => add::own_certificate(),
    }
}

/// All trusted clients, the oldest first.
async fn list_clients(service: &mut Service) -> Result<Vec<Client>, Error> {
    service.note_call("List");
    let answer = service.trust.list(ListRequest {}).await;
    let mut clients = into_reply(&service.endpoint, answer)?.clients;
    clients.sort_by(|one, other| (&one.added, &one.fingerprint).cmp(&(&other.added, &other.fingerprint)));
    Ok(clients)
}

/// Sets the passphrase by our own service, which lets root do it on its machine.
pub(super) async fn set_passphrase(service: &mut Service, passphrase: &Secret) -> Result<(), Error> {
    service.note_call("SetPassphrase");
    let request = SetPassphraseRequest { passphrase: passphrase.for_request() };
    let answer = service.trust.set_passphrase(request).await;
    into_reply(&service.endpoint, answer).map(drop)
}

/// Asks our own service whether a passphrase is set, which root on its machine may.
pub(super) async fn passphrase_is_set(service: &mut Service) -> Result<bool, Error> {
    service.note_call("PassphraseIsSet");
    let answer = service.trust.passphrase_is_set(PassphraseIsSetRequest {}).await;
    into_reply(&service.endpoint, answer).map(|reply| reply.is_set)
}

/// The reply of our own service, or what its refusal means.
pub(super) fn into_reply<T>(endpoint: &Endpoint, answer: Result<Response<T>, Status>) -> Result<T, Error> {
    match answer.map_err(Error::from_status) {
        Ok(response) => Ok(response.into_inner()),
        Err(Error::Refused(status)) => Err(explain_refusal(endpoint, status)),
        Err(error) => Err(error),
    }
}

fn explain_refusal(endpoint: &Endpoint, status: Box<Status>) -> Error {
    match status.code() {
        Code::Unimplemented => Error::failed(
            format!(
                "the service at {endpoint} cannot list or change its clients: it is a stock service, or an older \
                 one"
            ),
            "They are in the file authenticated-certs/multipass_client_certs.pem in its data directory: edit \
             that as root, and restart it."
                .to_owned(),
        ),
        // Of our own library: what it reads is bounded.
        Code::OutOfRange => Error::failed(
            format!("the list of clients is longer than the {} MiB that are read of it", MAX_LIST_SIZE >> 20),
            "They are in the file authenticated-certs/multipass_client_certs.pem in the service's data directory; \
             root can read it there, and remove those that are not needed."
                .to_owned(),
        ),
        Code::Unauthenticated => Error::failed(
            "only clients of the level 'full', and root over the service's Unix socket, may do this",
            match endpoint {
                Endpoint::Unix(_) => "Run it with sudo, or as a user whose client is 'full'.".to_owned(),
                _ => "Run it as a user whose client is 'full'; or, on the service's machine, with sudo over its \
                      Unix socket."
                    .to_owned(),
            },
        ),
        _ => Error::Refused(status),
    }
}

/// Whether it is the client that this command runs as.
fn is_own(service: &Service, client: &Client) -> bool {
    service.certificate.as_deref().map(fingerprint::of_certificate).as_ref() == Some(&client.fingerprint)
}

/// Makes sure that somebody means what he does to his own client.
///
/// # Errors
/// Nobody said so; `stays` tells how things are.
pub(super) async fn confirm(question: &str, stays: &str) -> Result<(), Error> {
    const OWN: &str = "This is the client that you are using";
    if !prompt::stdin_is_terminal() {
        return Err(Error::usage(OWN, Some("Add --yes if that is meant.".to_owned())));
    }
    match prompt::confirm(&format!("{OWN}. {question}")).await? {
        true => Ok(()),
        false => Err(Error::failed(format!("not confirmed; {stays}"), None)),
    }
}

/// What to call a client in a sentence.
fn display_name(name: &str, fingerprint: &str) -> String {
    let short = fingerprint::short(fingerprint);
    crate::terminal::text::one_line(&if name.is_empty() {
        short.to_owned()
    } else {
        format!("{name} ({short})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let endpoint: Endpoint = "unix:/run/socket".parse().expect("an address");
        for (status, message, next) in [
            (
                Status::unimplemented("unknown service"),
                "unix:/run/socket cannot list or change its clients",
                "restart it",
            ),
            (Status::out_of_range("too large"), "longer than the 64 MiB", "root can read it there"),
            (Status::unauthenticated("stranger"), "root over the service's Unix socket", "Run it with sudo"),
        ] {
            let error = into_reply::<()>(&endpoint, Err(status)).expect_err("a refusal");
            assert!(error.message().contains(message), "{}", error.message());
            assert!(error.next_step().expect("a step").contains(next));
            assert_eq!(error.exit_code(), 2);
        }
        let other = into_reply::<()>(&endpoint, Err(Status::not_found("No client."))).expect_err("a refusal");
        assert_eq!(other.message(), "No client.");
    }

    #[test]
    fn a_client_is_called_by_its_name_and_the_beginning_of_its_fingerprint() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(display_name("alice", expected), "alice (ba7816bf8f01)");
        assert_eq!(display_name("", expected), "ba7816bf8f01");
        assert_eq!(display_name("a\n\u{1b}b", "x"), "a b (x)");
    }
}
