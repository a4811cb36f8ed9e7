//! `get`: the value of a setting, or the keys of all.

use std::collections::BTreeSet;

use super::{AllowedCaller, PASSPHRASE, primary_name};
use crate::args::GetArgs;
use crate::commands::clients;
use crate::connection::{Context, Service, once};
use crate::error::Error;

/// How a value is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueForm {
    /// An empty one is named.
    Readable,
    /// As it is.
    Raw,
}

impl From<&GetArgs> for ValueForm {
    fn from(args: &GetArgs) -> Self {
        if args.raw { Self::Raw } else { Self::Readable }
    }
}

/// `get` of the client's own setting, which needs no service.
///
/// # Errors
/// It cannot be read.
pub(in crate::commands) fn get_primary_name(args: &GetArgs) -> Result<String, Error> {
    Ok(display_value(primary_name::KEY, &primary_name::get()?, args.into()))
}

/// `get`.
///
/// # Errors
/// The service does not know the key, or the call failed.
pub(in crate::commands) async fn get(context: &Context, args: GetArgs) -> Result<String, Error> {
    match &args.key {
        Some(key) => value(context, key, (&args).into()).await,
        None => keys(context).await,
    }
}

/// The keys of all settings, one a line.
async fn keys(context: &Context) -> Result<String, Error> {
    let mut service = Service::connect(context).await?;
    service.note_call("keys");
    let mut keys = BTreeSet::from([primary_name::KEY.to_owned()]);
    let request = rpc::KeysRequest { verbosity_level: service.verbosity_level() };
    let answer = service.rpc.keys(once(request)).await;
    service.read_replies(answer, |reply| keys.extend(reply.settings_keys)).await?;
    Ok(keys.iter().map(|key| format!("{key}\n")).collect())
}

/// The value of the setting `key`.
async fn value(context: &Context, key: &str, form: ValueForm) -> Result<String, Error> {
    let caller = AllowedCaller::of(key, context)?;
    let mut service = caller.connect(context).await?;
    service.note_call("get");
    let mut value = String::new();
    let request = rpc::GetRequest { key: key.to_owned(), verbosity_level: service.verbosity_level() };
    let answer = service.rpc.get(once(request)).await;
    let take = |reply: rpc::GetReply| {
        if !reply.value.is_empty() {
            value = reply.value;
        }
    };
    match service.read_replies(answer, take).await {
        Err(Error::Refused(status)) if caller.may_go_on_as_root(&status) => {
            Ok(format!("{}\n", clients::passphrase_is_set(&mut service).await?))
        }
        answered => answered.map(|()| display_value(key, &value, form)),
    }
}

/// A setting's value as `get` prints it.
fn display_value(key: &str, value: &str, form: ValueForm) -> String {
    match (value, form) {
        // A stock service sends the passphrase's hash here: only whether there is one may be shown.
        _ if key == PASSPHRASE => format!("{}\n", !value.is_empty()),
        ("", ValueForm::Readable) => "<empty>\n".to_owned(),
        _ => format!("{value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_and_hashes_are_not() {
        for (key, value, form, expected) in [
            (PASSPHRASE, "", ValueForm::Readable, "false\n"),
            (PASSPHRASE, "true", ValueForm::Readable, "true\n"),
            (PASSPHRASE, "c0ffee", ValueForm::Readable, "true\n"),
            (PASSPHRASE, "c0ffee", ValueForm::Raw, "true\n"),
            (PASSPHRASE, "", ValueForm::Raw, "false\n"),
            ("local.driver", "qemu", ValueForm::Readable, "qemu\n"),
            ("local.bridged-network", "", ValueForm::Readable, "<empty>\n"),
            ("local.bridged-network", "", ValueForm::Raw, "\n"),
        ] {
            assert_eq!(display_value(key, value, form), expected, "{key} {value} {form:?}");
        }
    }
}
