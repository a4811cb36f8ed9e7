//! Uses a token: the service that made it proves itself, hears the secret, and trusts this user's client from then on.

use rpc::trust::RedeemTokenRequest;
use tonic::Code;
use transport::Endpoint;

use super::knows_no_tokens;
use crate::context::{ADDRESS_VARIABLE, Context, Whence};
use crate::error::Error;
use crate::identity::IdentityStore;
use crate::server_trust::{Acquaintance, ServerTrust};
use crate::service::Service;
use crate::token::Token;
use crate::{output, text, transports};

/// What has become of this client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redeemed {
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
    if context.whence() != Whence::Nothing || token.addresses().is_empty() {
        let endpoint = context.endpoint()?;
        let acquaintance = ServerTrust::acquaintance(context, &endpoint, token.root())?;
        let redeemed = redeem(context, &endpoint, token).await?;
        welcome(context, &endpoint, token, &acquaintance, &redeemed);
        return Ok(());
    }
    let known = |endpoint: &Endpoint| ServerTrust::acquaintance(context, endpoint, token.root());
    let elsewhere = format!("set {ADDRESS_VARIABLE} to its address from here");
    let (endpoint, acquaintance, redeemed) = redeem_at_any(context, token, known, &elsewhere).await?;
    welcome(context, endpoint, token, &acquaintance, &redeemed);
    Ok(())
}

/// Redeems a token at the first of its addresses that answers; `known` is asked before, of each. Who knows another address
/// does `elsewhere`.
///
/// # Errors
/// The service was reached at none of them, or refused; or those of `known`.
pub(crate) async fn redeem_at_any<'a, T>(
    context: &Context,
    token: &'a Token,
    known: impl Fn(&Endpoint) -> Result<T, Error>,
    elsewhere: &str,
) -> Result<(&'a Endpoint, T, Redeemed), Error> {
    let mut failures = Vec::new();
    for endpoint in token.addresses() {
        let known = known(endpoint)?;
        match redeem(context, endpoint, token).await {
            Ok(redeemed) => return Ok((endpoint, known, redeemed)),
            // Only of what stands between this client and the service there may be less at another address.
            Err(error) if error.is_on_the_way() && !matches!(error, Error::Identity(_)) => {
                context.note(|| format!("not at {endpoint}: {}", error.message()));
                failures.push((endpoint, error));
            }
            Err(error) => return Err(error),
        }
    }
    Err(unreached(&failures, elsewhere))
}

/// Remembers the service that has let this client in, and tells the user.
fn welcome(
    context: &Context,
    endpoint: &Endpoint,
    token: &Token,
    acquaintance: &Acquaintance,
    redeemed: &Redeemed,
) {
    acquaintance.remember(endpoint, token.root());
    output::tell(&redeemed.told(endpoint));
    if context.endpoint().is_ok_and(|usual| usual != *endpoint) {
        let address = text::quoted(&endpoint.to_string());
        output::tell(&format!("To use it, set {ADDRESS_VARIABLE}={address}."));
    }
}

/// Redeems a token at `endpoint`, where the service that made it has to be: nobody else learns who calls, or what for.
/// Nothing that the user knows of a service there counts, and nothing is remembered.
///
/// # Errors
/// The service was not reached, or is another one, as [`Error::is_on_the_way`] tells; or it refused.
pub(crate) async fn redeem(context: &Context, endpoint: &Endpoint, token: &Token) -> Result<Redeemed, Error> {
    let transport = transports::reaching(endpoint)?;
    let identity = IdentityStore::of_user()?.load_or_create()?;
    let trust = ServerTrust::by_token(endpoint, token.root());
    context.note(|| format!("connecting to {endpoint}, which has to have the root in the token"));
    let mut service = Service::look_at(context, endpoint, &*transport, &trust, Some(identity)).await?;
    service.note_call("RedeemToken");
    let answer = service.trust.redeem_token(RedeemTokenRequest { secret: token.secret() }).await;
    let reply = answer.map_err(|status| refusal(Error::of_call(status), endpoint))?.into_inner();
    Ok(Redeemed { name: reply.name, level: reply.level })
}

/// The service was reached at none of the token's addresses.
fn unreached(failures: &[(&Endpoint, Error)], elsewhere: &str) -> Error {
    let reasons: Vec<String> =
        failures.iter().map(|(endpoint, error)| format!("  {endpoint}: {}", reason(error))).collect();
    let other = failures.iter().find(|(_, error)| matches!(error, Error::ServerTrust(_)));
    let next = other.and_then(|(_, error)| error.next_step()).unwrap_or_else(|| {
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
        Error::Refused(status) if status.code() == Code::Unimplemented => knows_no_tokens(
            endpoint,
            "Ask its administrator for the passphrase, and give that to `multipass authenticate`.",
        ),
        // The service's own message has what to do, and what is usual after such a code is about passphrases.
        Error::Refused(_) => Error::failed(error.message(), None),
        // The answer is lost, and maybe nothing else.
        Error::Lost(_) => Error::failed(
            format!("{}; the token may have been used before that", error.message()),
            "`multipass list` tells whether you may use the service. If not, try the token again.".to_owned(),
        ),
        _ => error,
    }
}

impl Redeemed {
    /// What the user is told.
    pub(crate) fn told(&self, endpoint: &Endpoint) -> String {
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
            let error = refusal(Error::of_call(status), &at("a.example:1"));
            assert!(error.message().contains(message), "{}", error.message());
            let step = error.next_step().unwrap_or_default();
            assert!(step.contains(next) && step.is_empty() == next.is_empty(), "{step}");
            assert!(!error.is_on_the_way(), "{message}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn each_address_is_named_with_its_reason() {
        let (one, two) = (at("a.example:1"), at("b.example:2"));
        let none =
            || Error::NoService { endpoint: one.clone(), source: io::ErrorKind::ConnectionRefused.into() };
        let late = Error::ConnectTimeout { endpoint: two.clone(), limit: std::time::Duration::from_secs(10) };
        let error = unreached(&[(&one, none()), (&two, late)], "go on");
        for part in ["\n  a.example:1: nothing listens there", "\n  b.example:2: ", "within 10 seconds"] {
            assert!(error.message().contains(part), "{}", error.message());
        }
        let next = error.next_step().expect("a step");
        assert!(next.contains("can still be used") && next.ends_with("; or go on."), "{next}");
        // That somebody else answered is what counts most.
        let (token, presented) = ([1; 32].into(), [2; 32].into());
        let unpinned = transport::tls::Unpinned::UnverifiedRoot(presented);
        let another =
            ServerTrust::by_token(&two, token).explain(ConnectError::ServerUnpinned(unpinned), &two);
        let error = unreached(&[(&one, none()), (&two, another)], "go on");
        for part in ["a.example:1: nothing", &"01".repeat(32), &"02".repeat(32)] {
            assert!(error.message().contains(part), "{}", error.message());
        }
        assert!(error.next_step().expect("a step").contains("Nothing secret was sent"));
    }

    #[test]
    fn who_one_is_now_is_told() {
        let redeemed = |name: &str| Redeemed { name: name.to_owned(), level: "full".to_owned() };
        let told = redeemed("alice").told(&at("a.example:1"));
        assert_eq!(told, "You may use the service at a.example:1 as alice (full) from now on.");
        assert_eq!(redeemed("").told(&at("a:1")), "You may use the service at a:1 (full) from now on.");
        assert!(!redeemed("\u{1b}[2J\nx").told(&at("a:1")).contains(['\u{1b}', '\n']));
    }
}
