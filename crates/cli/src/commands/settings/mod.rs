//! `get` and `set`. The service keeps all settings but one, which is the client's own.

pub(super) mod primary_name;

use std::collections::BTreeSet;

use tonic::Code;

use crate::args::{GetArgs, SetArgs};
use crate::commands::authenticate::question;
use crate::commands::clients;
use crate::connection::{Context, Service, has_peer_credentials, once};
use crate::credentials::{IdentityStoreError, passphrase, token};
use crate::error::Error;
use crate::platform;
use crate::terminal::Secret;
use crate::terminal::prompt::{self, Prompt};

/// The service answers whether it is set, never what it is.
const PASSPHRASE: &str = "local.passphrase";

const SECOND_QUESTION: &str = "Please re-enter passphrase: ";

/// `get` of the client's own setting, which needs no service.
///
/// # Errors
/// It cannot be read.
pub(super) fn get_primary_name(raw: bool) -> Result<String, Error> {
    Ok(display_value(primary_name::KEY, &primary_name::get()?, raw))
}

/// `get`.
///
/// # Errors
/// The service does not know the key, or the call failed.
pub(super) async fn get(context: &Context, args: GetArgs) -> Result<String, Error> {
    let may_go_on_as_root = args.key.as_deref() == Some(PASSPHRASE) && is_root_at(context)?;
    let mut service = connect(context, may_go_on_as_root).await?;
    let verbosity_level = service.verbosity_level();
    let Some(key) = args.key else {
        service.note_call("keys");
        let mut keys = BTreeSet::from([primary_name::KEY.to_owned()]);
        let answer = service.rpc.keys(once(rpc::KeysRequest { verbosity_level })).await;
        service.answer(answer, |reply| keys.extend(reply.settings_keys)).await?;
        return Ok(keys.iter().map(|key| format!("{key}\n")).collect());
    };

    service.note_call("get");
    let mut value = String::new();
    let answer = service.rpc.get(once(rpc::GetRequest { key: key.clone(), verbosity_level })).await;
    let take = |reply: rpc::GetReply| {
        if !reply.value.is_empty() {
            value = reply.value;
        }
    };
    match service.answer(answer, take).await {
        Err(Error::Refused(status)) if may_go_on_as_root && status.code() == Code::Unauthenticated => {
            Ok(format!("{}\n", clients::passphrase_is_set(&mut service).await?))
        }
        answered => answered.map(|()| display_value(&key, &value, args.raw)),
    }
}

/// Whether this is root on the service's machine, who may set the passphrase, and see whether there is one, without
/// being its client.
fn is_root_at(context: &Context) -> Result<bool, Error> {
    Ok(platform::is_root() && has_peer_credentials(&context.endpoint()?))
}

/// Connects as the current user; or as root without an identity, if that is enough and there is none of root's own.
async fn connect(context: &Context, may_go_on_as_root: bool) -> Result<Service, Error> {
    match Service::connect(context).await {
        Err(Error::Identity(IdentityStoreError::NotOwn(_))) if may_go_on_as_root => {
            Service::connect_as_administrator(context).await
        }
        connected => connected,
    }
}

/// A setting's value as `get` prints it.
fn display_value(key: &str, value: &str, raw: bool) -> String {
    match value {
        // A stock service sends the passphrase's hash here: only whether there is one may be shown.
        _ if key == PASSPHRASE => format!("{}\n", !value.is_empty()),
        "" if !raw => "<empty>\n".to_owned(),
        _ => format!("{value}\n"),
    }
}

/// `set`. Success prints nothing.
///
/// # Errors
/// No value was given, or the service refused it.
pub(super) async fn set(context: &Context, args: SetArgs) -> Result<String, Error> {
    if !args.rest.is_empty() {
        let next = "Write `multipass set <key>=<value>`, in quotes if the value has spaces.".to_owned();
        return Err(Error::usage("Too many arguments given", Some(next)));
    }
    let (key, value) = match parse(args.setting)? {
        (key, Some(value)) if key == primary_name::KEY => {
            primary_name::set(value.expose())?;
            return Ok(String::new());
        }
        (key, Some(value)) => {
            if key == PASSPHRASE && !value.is_empty() {
                prompt::note_visible_argument(
                    "a passphrase",
                    "run `multipass set local.passphrase` to be asked",
                );
            }
            (key, value)
        }
        (key, None) => {
            Service::verify(context).await?;
            (key, ask_for_passphrase(context).await?)
        }
    };
    if key == PASSPHRASE && token::is_token_like(value.expose()) {
        // It could never be given: `authenticate` sends it to nobody.
        let next = "Choose one that does not begin as a token does.".to_owned();
        return Err(Error::usage("a passphrase that looks like a token would be taken for one", Some(next)));
    }
    let may_go_on_as_root = key == PASSPHRASE && is_root_at(context)?;
    let mut service = connect(context, may_go_on_as_root).await?;
    service.note_call("set");
    let request = rpc::SetRequest {
        key: key.clone(),
        val: value.for_request(),
        verbosity_level: service.verbosity_level(),
        authorized: false,
    };
    let mut asked = false;
    let answer = service.rpc.set(once(request)).await;
    let outcome = service.answer(answer, |reply: rpc::SetReply| asked |= reply.needs_authorization).await;
    if asked {
        return Err(Error::Unsupported {
            message: format!("the service wants {key} confirmed, which this client cannot do yet"),
            next: None,
        });
    }
    match outcome {
        // The way back when no client is left, and nobody knows the passphrase.
        Err(Error::Refused(status)) if may_go_on_as_root && status.code() == Code::Unauthenticated => {
            clients::set_passphrase(&mut service, &value).await?;
        }
        outcome => outcome?,
    }
    if let Some(weakness) =
        passphrase::weakness(value.expose()).filter(|_| key == PASSPHRASE && !value.is_empty())
    {
        prompt::warn_of_weakness(weakness);
    }
    Ok(String::new())
}

/// Takes `key=value` or `key` apart, and refuses what needs no service to be refused. The value may contain
/// `=`, and is treated as a secret throughout.
fn parse(setting: String) -> Result<(String, Option<Secret>), Error> {
    let setting = zeroize::Zeroizing::new(setting);
    let (key, value) = match setting.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(Secret::new(value.to_owned()))),
        None => (setting.to_string(), None),
    };
    let form = |key: &str| Some(format!("Write `multipass set {key}=<value>`."));
    match (key.as_str(), &value) {
        ("", _) => Err(Error::usage("The key of the setting is missing", form("<key>"))),
        (PASSPHRASE, None) | (_, Some(_)) => Ok((key, value)),
        (_, None) => Err(Error::usage(format!("No value given for {key}"), form(&key))),
    }
}

/// Asks for the passphrase, which must be one.
async fn ask_for_passphrase(context: &Context) -> Result<Secret, Error> {
    // Removing the passphrase must not happen by pressing Enter.
    ask_for_new_passphrase(context).await?.ok_or_else(|| {
        let next = format!("To remove the passphrase, run `multipass set {PASSPHRASE}=`.");
        Error::usage("No passphrase given", Some(next))
    })
}

/// Asks for a passphrase: twice where somebody types it unseen. `None` if the answer is empty.
///
/// # Errors
/// There is no answer, or the second one differs.
pub(super) async fn ask_for_new_passphrase(context: &Context) -> Result<Option<Secret>, Error> {
    let question = question(context)?;
    let mut prompt = Prompt::open()?;
    let passphrase = prompt.secret(&question).await?;
    if prompt.is_terminal() && prompt.secret(SECOND_QUESTION).await? != passphrase {
        return Err(Error::usage("Passphrases do not match", None));
    }
    Ok((!passphrase.is_empty()).then_some(passphrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_apart_at_the_first_equals_sign() {
        for (setting, key, value) in [
            ("local.passphrase=a", PASSPHRASE, Some("a")),
            ("local.passphrase=a=b==", PASSPHRASE, Some("a=b==")),
            ("local.passphrase==", PASSPHRASE, Some("=")),
            ("local.passphrase=", PASSPHRASE, Some("")),
            ("local.passphrase", PASSPHRASE, None),
            ("client.primary-name=", primary_name::KEY, Some("")),
            ("local.dev.memory=2G", "local.dev.memory", Some("2G")),
            ("local.driver=qemu", "local.driver", Some("qemu")),
            ("local.image.mirror=", "local.image.mirror", Some("")),
        ] {
            let (found, given) = parse(setting.to_owned()).expect(setting);
            assert_eq!(found, key);
            assert_eq!(given.as_ref().map(Secret::expose), value, "{setting}");
        }
    }

    #[test]
    fn what_needs_no_service_to_be_refused() {
        for (setting, code, message) in [
            ("", 1, "missing"),
            ("=x", 1, "missing"),
            ("local.driver", 1, "No value given for local.driver"),
            ("client.primary-name", 1, "No value given for client.primary-name"),
        ] {
            let error = parse(setting.to_owned()).expect_err(setting);
            assert_eq!(error.exit_code(), code, "{setting}");
            assert!(error.message().contains(message), "{setting}: {}", error.message());
            assert!(error.next_step().is_some(), "{setting}");
        }
    }

    #[test]
    fn values_are_shown_and_hashes_are_not() {
        for (key, value, raw, expected) in [
            (PASSPHRASE, "", false, "false\n"),
            (PASSPHRASE, "true", false, "true\n"),
            (PASSPHRASE, "c0ffee", false, "true\n"),
            (PASSPHRASE, "c0ffee", true, "true\n"),
            (PASSPHRASE, "", true, "false\n"),
            ("local.driver", "qemu", false, "qemu\n"),
            ("local.bridged-network", "", false, "<empty>\n"),
            ("local.bridged-network", "", true, "\n"),
        ] {
            assert_eq!(display_value(key, value, raw), expected, "{key} {value} {raw}");
        }
    }
}
