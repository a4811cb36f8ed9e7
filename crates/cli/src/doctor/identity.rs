//! This user's own certificate and key. Nothing is made, and an open key stays as it is.

use std::io;

use transport::tls::Identity;

use super::remedy;
use super::report::{Report, Verdict};
use super::{IDENTITY, KEY};
use crate::credentials::{IdentityStore, IdentityStoreError, fingerprint};
use crate::error::Error;
use crate::files::FileError;
use crate::platform;

/// The identity, if there is one that can be used.
pub(super) fn check(report: &mut Report) -> Option<Identity> {
    let store = match IdentityStore::of_user() {
        Ok(store) => store.without_repairs(),
        Err(fault) => {
            report.add(IDENTITY, identity_problem(fault, None));
            report.skip_all(&[KEY]);
            return None;
        }
    };
    let identity = report.take(IDENTITY, certificate(&store));
    report.add(KEY, key(&store));
    identity.flatten()
}

fn certificate(store: &IdentityStore) -> Result<(Option<Identity>, Verdict), Verdict> {
    let directory = store.directory().display();
    match store.load() {
        Ok(Some(identity)) => {
            let fingerprint = fingerprint::of_certificate(identity.certificate());
            let verdict = Verdict::passed(format!("{}, in {directory}", fingerprint::short(&fingerprint)));
            Ok((Some(identity), verdict))
        }
        Ok(None) if !store.is_own() => {
            Err(identity_problem(IdentityStoreError::NotOwn(store.directory().to_owned()), None))
        }
        Ok(None) if store.certificate_file().exists() && !store.key_file().exists() => {
            let verdict = Verdict::warning(
                format!("{} is of no use without its key", store.certificate_file().display()),
                "Restore the key from a backup. Otherwise the next command makes a new identity, which the service \
                 does not know:",
                Some("multipass authenticate".to_owned()),
            );
            Ok((None, verdict))
        }
        Ok(None) => {
            let verdict = Verdict::passed("there is none yet; the first command that needs one makes it");
            Ok((None, verdict))
        }
        Err(fault) => Err(identity_problem(fault, Some(store))),
    }
}

fn identity_problem(fault: IdentityStoreError, store: Option<&IdentityStore>) -> Verdict {
    let next = fault.next_step();
    let error = Error::from(fault);
    let cause = error.message();
    let Error::Identity(fault) = &error else { return Verdict::of_error(&error) };
    let directory = store.map(|store| remedy::quoted_path(store.directory()));
    match (fault, directory) {
        (IdentityStoreError::Unusable { .. } | IdentityStoreError::KeyUnusable { .. }, Some(directory)) => {
            Verdict::problem(
                cause,
                "Restore both files from a backup, or move them away and authenticate again:",
                Some(format!("mv {directory} {directory}.old")),
            )
        }
        (IdentityStoreError::File(FileError::Io { source, .. }), Some(directory))
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            let user = remedy::user_name();
            Verdict::problem(
                cause,
                "The files are yours to have. Take them back:",
                Some(remedy::as_root(&format!("chown -R {} {directory}", remedy::shell_quoted(&user)))),
            )
        }
        (IdentityStoreError::NotOwn(_), _) => Verdict::problem(
            cause,
            "Run commands without sudo, or with root's own home directory:",
            Some("sudo -H multipass doctor".to_owned()),
        ),
        (IdentityStoreError::NoHome, _) => Verdict::problem(
            cause,
            next,
            (!cfg!(windows)).then(|| format!("export {}=~", platform::HOME_VARIABLE)),
        ),
        _ => Verdict::problem(cause, next, None),
    }
}

fn key(store: &IdentityStore) -> Verdict {
    let file = store.key_file();
    match platform::exposure(&file) {
        Ok(None) => Verdict::passed("it is for its owner alone"),
        Ok(Some(exposure)) => Verdict::warning(
            format!("other users can access {}: {exposure}", file.display()),
            "Close it; whoever has read it can act as you:",
            Some(platform::restrict_command(&remedy::quoted_path(&file))),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Verdict::skipped("there is none"),
        Err(error) => Verdict::skipped(format!("cannot look at {}: {error}", file.display())),
    }
}
