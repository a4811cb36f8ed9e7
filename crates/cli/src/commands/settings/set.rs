//! `set`: changes a setting; the passphrase is asked for if it is not given.

use zeroize::Zeroizing;

use super::{AllowedCaller, PASSPHRASE, primary_name};
use crate::args::SetArgs;
use crate::commands::authenticate::question;
use crate::commands::clients;
use crate::connection::{Context, Service, once};
use crate::credentials::{passphrase, token};
use crate::error::Error;
use crate::terminal::Secret;
use crate::terminal::prompt::{self, Prompt};

const SECOND_QUESTION: &str = "Please re-enter passphrase: ";

/// `set`. Success prints nothing.
///
/// # Errors
/// No value was given, or the service refused it.
pub(in crate::commands) async fn set(context: &Context, args: SetArgs) -> Result<String, Error> {
    if !args.rest.is_empty() {
        let next = "Write `multipass set <key>=<value>`, in quotes if the value has spaces.".to_owned();
        return Err(Error::usage("Too many arguments given", Some(next)));
    }
    match parse(args.setting)? {
        (key, Some(name)) if key == primary_name::KEY => primary_name::set(name.expose())?,
        (key, Some(passphrase)) if key == PASSPHRASE => {
            if !passphrase.is_empty() {
                prompt::note_visible_argument(
                    "a passphrase",
                    "run `multipass set local.passphrase` to be asked",
                );
            }
            set_passphrase(context, &passphrase).await?;
        }
        (key, Some(value)) => send(context, &key, &value).await?,
        // No other key may go without its value.
        (_, None) => {
            Service::verify(context).await?;
            set_passphrase(context, &ask_for_passphrase(context).await?).await?;
        }
    }
    Ok(String::new())
}

/// Sets the passphrase, or removes it if it is empty.
async fn set_passphrase(context: &Context, passphrase: &Secret) -> Result<(), Error> {
    if token::is_token_like(passphrase.expose()) {
        // It could never be given: `authenticate` sends it to nobody.
        let next = "Choose one that does not begin as a token does.".to_owned();
        return Err(Error::usage("a passphrase that looks like a token would be taken for one", Some(next)));
    }
    send(context, PASSPHRASE, passphrase).await?;
    let weakness = passphrase::weakness(passphrase.expose());
    if let Some(weakness) = weakness.filter(|_| !passphrase.is_empty()) {
        prompt::warn_of_weakness(weakness);
    }
    Ok(())
}

/// Has the service keep the setting.
async fn send(context: &Context, key: &str, value: &Secret) -> Result<(), Error> {
    let caller = AllowedCaller::of(key, context)?;
    let mut service = caller.connect(context).await?;
    service.note_call("set");
    let request = rpc::SetRequest {
        key: key.to_owned(),
        val: value.for_request(),
        verbosity_level: service.verbosity_level(),
        authorized: false,
    };
    let mut asked = false;
    let answer = service.rpc.set(once(request)).await;
    let outcome =
        service.read_replies(answer, |reply: rpc::SetReply| asked |= reply.needs_authorization).await;
    if asked {
        return Err(Error::Unsupported {
            message: format!("the service wants {key} confirmed, which this client cannot do yet"),
            next: None,
        });
    }
    match outcome {
        // The way back when nobody is left who may, and nobody knows the passphrase.
        Err(Error::Refused(status)) if caller.may_go_on_as_root(&status) => {
            clients::set_passphrase(&mut service, value).await
        }
        outcome => outcome,
    }
}

/// Takes `key=value` or `key` apart, and refuses what needs no service to be refused. The value may contain
/// `=`, and is treated as a secret throughout.
fn parse(setting: String) -> Result<(String, Option<Secret>), Error> {
    let setting = Zeroizing::new(setting);
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
pub(in crate::commands) async fn ask_for_new_passphrase(context: &Context) -> Result<Option<Secret>, Error> {
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
}
