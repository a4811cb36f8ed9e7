//! Uses a token: the service that made it proves itself, hears the secret, and trusts this user's client from then on.

use rpc::trust::RedeemTokenRequest;
use tonic::Code;
use transport::Endpoint;
use transport::tls::RootFingerprint;

use super::{dial, tokens_unsupported};
use crate::connection::{
    ADDRESS_VARIABLE, Context, ExpectedRoot, KnownServerUpdate, ServerTrust, Service, ServiceSource,
};
use crate::credentials::{IdentityStore, Token};
use crate::error::Error;
use crate::terminal::{output, text};

/// What has become of this client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enrolment {
    /// What the service calls it; may be empty.
    name: String,
    /// What it may do.
    level: String,
}

/// Redeems a token at the service's address that the user names, or else at those in the token, the first that answers.
/// Tells what came of it, and remembers the service if it is on another machine.
///
/// # Errors
/// The service was not reached, or is another one, or refused.
pub(crate) async fn enrol(context: &Context, token: &Token) -> Result<(), Error> {
    if context.service_source() != ServiceSource::Nothing || token.addresses().is_empty() {
        let endpoint = context.endpoint()?;
        let update = ServerTrust::check_token_of_service(context, &endpoint, token.root())?;
        let enrolment = redeem(context, &endpoint, token).await?;
        remember_and_tell(context, &endpoint, token, &update, &enrolment);
        return Ok(());
    }
    let check = |endpoint: &Endpoint| ServerTrust::check_token_of_service(context, endpoint, token.root());
    let elsewhere = format!("set {ADDRESS_VARIABLE} to its address from here");
    let (endpoint, update, enrolment) = redeem_at_any(context, token, check, &elsewhere).await?;
    remember_and_tell(context, endpoint, token, &update, &enrolment);
    Ok(())
}

/// Redeems a token at the first of its addresses that answers, after a `check` of each. Who knows another address does
/// `elsewhere`.
///
/// # Errors
/// The service was reached at none of them, or refused; or those of `check`.
pub(crate) async fn redeem_at_any<'a, T>(
    context: &Context,
    token: &'a Token,
    check: impl Fn(&Endpoint) -> Result<T, Error>,
    elsewhere: &str,
) -> Result<(&'a Endpoint, T, Enrolment), Error> {
    // Before any is reached: which one answers first is chance.
    let checked = token.addresses().iter().map(check).collect::<Result<Vec<T>, Error>>()?;
    let identity = IdentityStore::of_user()?.load_or_create()?;
    match dial::dial_any(context, token, &identity).await {
        Ok((place, service)) => {
            let found = token.addresses().iter().zip(checked).nth(place);
            let (endpoint, checked) =
                found.ok_or(Error::InvalidReply("there is no such address in the token"))?;
            Ok((endpoint, checked, send_secret(service, token).await?))
        }
        Err(mut errors) => Err(match errors.pop_if(|error| !error.concerns_connection()) {
            Some(error) => error,
            None => unreached(token.addresses(), &errors, elsewhere),
        }),
    }
}

/// Remembers the service that has let this client in, and tells the user.
fn remember_and_tell(
    context: &Context,
    endpoint: &Endpoint,
    token: &Token,
    update: &KnownServerUpdate,
    enrolment: &Enrolment,
) {
    update.apply(endpoint, token.root());
    output::tell(&enrolment.summary(endpoint));
    if let Some(hint) = usage_hint(context, endpoint, token.root()) {
        output::tell(&hint);
    }
}

/// What has to be done for commands to be for the service at `endpoint`, and to know it; nothing if they are and do.
fn usage_hint(context: &Context, endpoint: &Endpoint, root: RootFingerprint) -> Option<String> {
    let is_meant = context.endpoint().is_ok_and(|meant| meant == *endpoint);
    let is_known = ServerTrust::is_known_by_address(endpoint, root);
    // It has let this client in, and so has that root.
    let is_named_for_all = context.root_on_command_line().is_none()
        && context.expected_root().is_ok_and(|named| named != ExpectedRoot::Default);
    let address = text::shell_quoted(&endpoint.to_string());
    match (is_meant, is_known || is_named_for_all) {
        (true, true) => None,
        (false, _) if is_known => Some(format!("To use it, set {ADDRESS_VARIABLE}={address}.")),
        _ => Some(format!(
            "It is not the system's own service on this machine. To use it, give it a name:\n  multipass remote add NAME \
             {address} --fingerprint {root}\n  multipass --remote NAME list"
        )),
    }
}

/// Redeems a token at `endpoint`, where the service that made it has to be.
///
/// # Errors
/// As of [`dial::dial`]; or it refused.
pub(crate) async fn redeem(
    context: &Context,
    endpoint: &Endpoint,
    token: &Token,
) -> Result<Enrolment, Error> {
    let identity = IdentityStore::of_user()?.load_or_create()?;
    send_secret(dial::dial(context, endpoint, token.root(), identity).await?, token).await
}

/// Has a service that has proven itself hear the secret: the only one that does.
async fn send_secret(mut service: Service, token: &Token) -> Result<Enrolment, Error> {
    service.note_call("RedeemToken");
    let answer = service.trust.redeem_token(RedeemTokenRequest { secret: token.secret() }).await;
    let reply = answer.map_err(|status| refusal(Error::from_status(status), &service.endpoint))?.into_inner();
    Ok(Enrolment { name: reply.name, level: reply.level })
}

/// The service was reached at none of the token's addresses.
fn unreached(addresses: &[Endpoint], failures: &[Error], elsewhere: &str) -> Error {
    let told = |(endpoint, error): (&Endpoint, &Error)| format!("  {endpoint}: {}", reason(error));
    let reasons: Vec<String> = addresses.iter().zip(failures).map(told).collect();
    let other = failures.iter().find(|error| matches!(error, Error::ServerTrust(_)));
    let next = other.and_then(Error::next_step).unwrap_or_else(|| {
        format!(
            "The token can still be used. See that the service runs, and that no firewall keeps you from it; or \
             {elsewhere}."
        )
    });
    let message = "the service was reached at none of the token's addresses";
    Error::failed(format!("{message}\n{}", reasons.join("\n")), next)
}

/// Why a service was not reached, below its address.
fn reason(error: &Error) -> String {
    let message = match error {
        // The stock client's words for it say nothing.
        Error::NoService { source, .. } => format!("nothing listens there: {source}"),
        error => error.message(),
    };
    message.replace('\n', "\n  ")
}

/// What it means that the service, which was reached, has not redeemed a token.
fn refusal(error: Error, endpoint: &Endpoint) -> Error {
    match &error {
        Error::Refused(status) if status.code() == Code::Unimplemented => tokens_unsupported(
            endpoint,
            "Ask its administrator for the passphrase, and give that to `multipass authenticate`.",
        ),
        // The service's own message has what to do, and what is usual after such a code is about passphrases.
        Error::Refused(_) => Error::failed(error.message(), None),
        // The answer is lost, and maybe nothing else.
        Error::ConnectionLost(_) => Error::failed(
            format!("{}; the token may have been used before that", error.message()),
            "`multipass list` tells whether you may use the service. If not, try the token again.".to_owned(),
        ),
        _ => error,
    }
}

impl Enrolment {
    /// What the user is told.
    pub(crate) fn summary(&self, endpoint: &Endpoint) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!(" as {}", self.name) };
        text::one_line(&format!("You may use the service at {endpoint}{name} ({}) from now on.", self.level))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tonic::Status;
    use transport::ConnectError;

    use super::*;

    fn at(address: &str) -> Endpoint {
        address.parse().expect("an address")
    }

    #[test]
    fn a_refusal_says_what_to_do_and_is_not_of_the_way() {
        let broken = Status::from_error(Box::new(io::Error::new(io::ErrorKind::ConnectionReset, "reset")));
        for (status, message, next) in [
            (Status::unimplemented("unknown"), "a.example:1 does not know tokens", "for the passphrase"),
            (Status::unauthenticated("It was used. Ask for a new one."), "It was used.", ""),
            (Status::failed_precondition("It was not used."), "It was not used.", ""),
            (broken, "the token may have been used", "multipass list"),
        ] {
            let error = refusal(Error::from_status(status), &at("a.example:1"));
            assert!(error.message().contains(message), "{}", error.message());
            let step = error.next_step().unwrap_or_default();
            assert!(step.contains(next) && step.is_empty() == next.is_empty(), "{step}");
            assert!(!error.concerns_connection(), "{message}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn each_address_is_named_with_its_reason() {
        let (one, two) = (at("a.example:1"), at("b.example:2"));
        let none =
            || Error::NoService { endpoint: one.clone(), source: io::ErrorKind::ConnectionRefused.into() };
        let late = Error::ConnectTimeout { endpoint: two.clone(), limit: std::time::Duration::from_secs(10) };
        let addresses = [one.clone(), two.clone()];
        let error = unreached(&addresses, &[none(), late], "go on");
        for part in ["\n  a.example:1: nothing listens there", "\n  b.example:2: ", "within 10 seconds"] {
            assert!(error.message().contains(part), "{}", error.message());
        }
        let next = error.next_step().expect("a step");
        assert!(next.contains("can still be used") && next.ends_with("; or go on."), "{next}");
        // That somebody else answered is what counts most.
        let (token, presented) = ([1; 32].into(), [2; 32].into());
        let unpinned = transport::tls::PinError::UnverifiedRoot(presented);
        let another =
            ServerTrust::by_token(&two, token).explain(ConnectError::ServerUnpinned(unpinned), &two);
        let error = unreached(&addresses, &[none(), another], "go on");
        for part in ["a.example:1: nothing", &"01".repeat(32), &"02".repeat(32)] {
            assert!(error.message().contains(part), "{}", error.message());
        }
        assert!(error.next_step().expect("a step").contains("Nothing secret was sent"));
    }

    #[test]
    fn who_one_is_now_is_told() {
        let enrolment = |name: &str| Enrolment { name: name.to_owned(), level: "full".to_owned() };
        let told = enrolment("alice").summary(&at("a.example:1"));
        assert_eq!(told, "You may use the service at a.example:1 as alice (full) from now on.");
        assert_eq!(enrolment("").summary(&at("a:1")), "You may use the service at a:1 (full) from now on.");
        assert!(!enrolment("\u{1b}[2J\nx").summary(&at("a:1")).contains(['\u{1b}', '\n']));
    }
}
