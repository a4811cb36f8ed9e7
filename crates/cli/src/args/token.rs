//! The command line of `token`.

use std::time::Duration;

use clap::{Args, Subcommand};
use transport::{Endpoint, HostPort};

use super::clients::client_name;
use super::{Format, FormatArg};
use crate::connection::transports::is_wildcard;
use crate::credentials::token::MAX_ADDRESS_LENGTH;

/// What the help of `token` says.
pub(super) const ABOUT: &str = "\
Make tokens: each lets one client use the service, once, without the passphrase.
Clients of the level 'full', and root on the service's machine, may do so.

  multipass token create --name alice   makes a token for alice, for a day
  multipass token list                  shows those that nobody has used yet
  multipass token revoke 0f3a           makes one useless

Whoever gets the token gives it to `multipass authenticate`, on any machine that
reaches the service. Pass it on as you would a password: it is as good as one
until it is used.

See also `multipass token <command> --help`.";

const CREATE: &str = "\
Make a token, and print it. It has in it where the service is and by what that
proves itself, so that whoever gets it has to know nothing else.

  multipass token create --name alice
  multipass token create --ttl 30m --read-only --name monitor
  multipass token create --address server.example:50051 | ssh laptop \\
      multipass authenticate --passphrase-file -

Its addresses are those that are given with --address. Without, they are the one
by which this command reaches the service, if that is on another machine, and
those on which the service listens for other machines; if there are none, those
on this machine, for a token that another user here is to use.";

/// What a token lives, unless it is said.
const DEFAULT_LIFETIME: &str = "24h";
/// The longest that a token may live: the service's own bound.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// What to do; without it, help.
    #[command(subcommand)]
    pub(crate) action: Option<TokenCommand>,
}

/// The commands below `token`. By their whole names it is known which help somebody asks for.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// `token create`.
    #[command(override_help = "token create", about = "Make a token, and print it", long_about = CREATE)]
    Create(CreateTokenArgs),
    /// `token list`.
    #[command(
        override_help = "token list",
        about = "List the tokens that nobody has used yet",
        long_about = "\
List the tokens that may still be used, the oldest first. The tokens themselves
are not kept: one that is lost is revoked, and another one made."
    )]
    List(FormatArg),
    /// `token revoke`.
    #[command(
        override_help = "token revoke",
        about = "Make a token useless",
        long_about = "\
Make a token useless that nobody has used yet. A client that has used one is
revoked by `multipass clients revoke`.

  multipass token revoke 0f3a"
    )]
    Revoke(RevokeTokenArgs),
}

/// Arguments of `token create`.
#[derive(Debug, Args)]
pub(crate) struct CreateTokenArgs {
    /// What to call the client.
    #[arg(
        long,
        value_name = "name",
        value_parser = client_name,
        help = "What to call the client that uses it: up to 64 letters, digits, '.', '_' and '-'."
    )]
    pub(crate) name: Option<String>,
    /// How long it may be used.
    #[arg(
        long,
        value_name = "duration",
        value_parser = lifetime,
        default_value = DEFAULT_LIFETIME,
        help = "How long it may be used, for example 30m, 24h (default) or 7d; at most 30d."
    )]
    pub(crate) ttl: Duration,
    /// Whether the client may only read.
    #[arg(long, help = "Let the client see what there is, and change nothing.")]
    pub(crate) read_only: bool,
    /// Where the service is.
    #[arg(
        long,
        value_name = "address",
        value_parser = address,
        help = "Where the service is found from elsewhere, as host:port or quic:host:port. Repeat it for more, the \
                best first, up to 8; of those that answer, the first to prove itself is used."
    )]
    pub(crate) address: Vec<Endpoint>,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// Arguments of `token revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeTokenArgs {
    /// Which token.
    #[arg(
        value_name = "id",
        help = "The token's ID, or the beginning of it, as `multipass token list` shows it"
    )]
    pub(crate) id: String,
}

impl CreateTokenArgs {
    /// The form of the output.
    pub(crate) fn format(&self) -> Format {
        self.format.format
    }
}

/// How long a token may be used, in whole seconds.
fn lifetime(text: &str) -> Result<Duration, String> {
    let asked = humantime::parse_duration(text)
        .map_err(|_| "write a number and its unit, for example 90s, 30m, 24h or 7d".to_owned())?;
    if asked.is_zero() || asked.subsec_nanos() > 0 {
        return Err("it has to be whole seconds, and at least one".to_owned());
    }
    if asked > MAX_LIFETIME {
        return Err(
            "a token lives for 30 days at most; who needs longer is added by `multipass clients add`"
                .to_owned(),
        );
    }
    Ok(asked)
}

/// An address that somebody else can dial.
fn address(text: &str) -> Result<Endpoint, String> {
    let endpoint: Endpoint = text.parse().map_err(|fault: transport::EndpointError| fault.to_string())?;
    if endpoint.to_string().len() > MAX_ADDRESS_LENGTH {
        return Err(format!("it is longer than {MAX_ADDRESS_LENGTH} bytes"));
    }
    if is_wildcard(&endpoint) {
        return Err("that is every address of a machine, and none to connect to; name one".to_owned());
    }
    match &endpoint {
        Endpoint::Tcp(HostPort { port: 0, .. }) | Endpoint::Quic(HostPort { port: 0, .. }) => {
            Err("nothing can connect to port 0".to_owned())
        }
        _ => Ok(endpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_whole_seconds_within_bounds() {
        for (text, expected) in [
            ("1s", Ok(1)),
            ("30m", Ok(30 * 60)),
            ("24h", Ok(24 * 60 * 60)),
            ("7d", Ok(7 * 24 * 60 * 60)),
            ("30d", Ok(30 * 24 * 60 * 60)),
            ("1h 30m", Ok(90 * 60)),
            ("30d 1s", Err("30 days at most")),
            ("1y", Err("30 days at most")),
            ("99999999999999999999d", Err("a number and its unit")),
            ("0s", Err("at least one")),
            ("500ms", Err("whole seconds")),
            ("1500ms", Err("whole seconds")),
            ("24", Err("a number and its unit")),
            ("soon", Err("a number and its unit")),
            ("-1h", Err("a number and its unit")),
            ("", Err("a number and its unit")),
        ] {
            match (lifetime(text), expected) {
                (Ok(found), Ok(seconds)) => assert_eq!(found.as_secs(), seconds, "{text}"),
                (Err(told), Err(part)) => assert!(told.contains(part), "{text}: {told}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn only_addresses_that_can_be_dialled_are_given_to_others() {
        let long = format!("{}:1", "a".repeat(254));
        for (text, refusal) in [
            ("server.example:50051", None),
            ("quic:[2001:db8::1]:7", None),
            ("unix:/run/multipass_socket", None),
            ("localhost:1", None),
            ("0.0.0.0:50051", Some("none to connect to")),
            ("quic:[::]:50051", Some("none to connect to")),
            ("[::ffff:0.0.0.0]:50051", Some("none to connect to")),
            ("server.example:0", Some("port 0")),
            ("server.example", Some("port is missing")),
            ("http://server.example:1", Some("no known transport")),
            (&long, Some("longer than 255 bytes")),
        ] {
            match (address(text), refusal) {
                (Ok(_), None) => {}
                (Err(told), Some(part)) => assert!(told.contains(part), "{text}: {told}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
