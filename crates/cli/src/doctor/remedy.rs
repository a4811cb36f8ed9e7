//! Commands that fix something, as this user's shell takes them.

use std::path::Path;

use transport::Endpoint;

use super::report::{Diagnosis, Verdict};
use crate::connection::transports;
use crate::connection::{
    ADDRESS_VARIABLE, Context, ExpectedRoot, REMOTE_VARIABLE, SelectedRemote, ServiceSource,
};
use crate::platform::{self, Listener};
pub(super) use crate::terminal::text::shell_quoted;

/// Where a unit of the service lies, if there is one.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/multipassd.service",
    "/usr/lib/systemd/system/multipassd.service",
    "/lib/systemd/system/multipassd.service",
];
/// Where macOS's launchd is told of it, and what it is called there.
const PROPERTY_LIST: &str = "/Library/LaunchDaemons/com.canonical.multipassd.plist";
const LABEL: &str = "system/com.canonical.multipassd";
/// The service's program.
const SERVICE: &str = "multipassd";

/// `command`, run as root by whoever is not.
pub(super) fn as_root(command: &str) -> String {
    if platform::is_root() || cfg!(windows) { command.to_owned() } else { format!("sudo {command}") }
}

/// This program with `arguments`, on the same way to the service.
pub(super) fn client_command(context: &Context, arguments: &str) -> String {
    match context.selected_remote() {
        Ok(Some(SelectedRemote { remote, source: ServiceSource::RemoteOption })) => {
            with_root(context, &format!("--remote {} {arguments}", remote.name))
        }
        _ => with_root(context, arguments),
    }
}

fn with_root(context: &Context, arguments: &str) -> String {
    match context.root_options() {
        Some((option, value)) => format!("multipass {option} {} {arguments}", shell_quoted(&value)),
        None => format!("multipass {arguments}"),
    }
}

/// As [`client_command`], run as root: sudo keeps nothing of the environment, and root has other remotes.
pub(super) fn client_command_as_root(context: &Context, arguments: &str) -> String {
    if platform::is_root() {
        return client_command(context, arguments);
    }
    let set = |(name, value): (&str, String)| format!("{name}={} ", shell_quoted(&value));
    let settings: String = context.equivalent_environment().into_iter().map(set).collect();
    as_root(&format!("{settings}{}", with_root(context, arguments)))
}

/// What makes commands go to the service at the default address; nothing if they do.
pub(super) fn use_default_service(context: &Context) -> Option<String> {
    let command = match context.service_source() {
        ServiceSource::RemoteVariable => format!("unset {REMOTE_VARIABLE}"),
        ServiceSource::AddressVariable => format!("unset {ADDRESS_VARIABLE}"),
        _ if !context.service_is_named() => return None,
        ServiceSource::DefaultRemote if context.selected_remote().is_ok() => {
            "multipass remote default local".to_owned()
        }
        // Also where it cannot be told which remote is the default.
        ServiceSource::RemoteOption | ServiceSource::DefaultRemote | ServiceSource::Nothing => {
            "multipass --remote local doctor".to_owned()
        }
    };
    Some(command)
}

/// Starts the service that is missing at `endpoint`.
pub(super) fn start_service(context: &Context, endpoint: &Endpoint, cause: String) -> Verdict {
    if !endpoint.is_on_this_machine() {
        return Verdict::problem(
            cause,
            "Ask whoever runs that machine to start the service there, or correct the address.",
            None,
        );
    }
    let command = if let Some(manager) = manager(context) {
        manager.start()
    } else {
        let root = match context.expected_root() {
            Ok(ExpectedRoot::Certificate(file)) => format!(" --root-cert {}", quoted_path(&file)),
            _ => String::new(),
        };
        let at = match *endpoint == transports::default_endpoint() {
            true => String::new(),
            false => format!(" --address {}", shell_quoted(&endpoint.to_string())),
        };
        let program = format!("{SERVICE}{at}{root}");
        match endpoint {
            Endpoint::Unix(path) if platform::owns_directory_of(path) => program,
            _ => as_root(&program),
        }
    };
    let advice = match context.service_source() {
        ServiceSource::AddressVariable => {
            "Start the service there, or correct or unset MULTIPASS_SERVER_ADDRESS:"
        }
        _ if context.service_is_named() => {
            "Start the service there, or correct the address with `multipass remote add --replace`:"
        }
        _ => "Start the service:",
    };
    Verdict::problem(cause, advice, Some(command))
}

/// Restarts the service, where it is known how.
pub(super) fn restart_service(context: &Context) -> Option<String> {
    manager(context).map(ServiceManager::restart)
}

/// Who starts the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServiceManager {
    Systemd,
    Launchd,
}

/// Who starts the service that this client uses, where it is known.
fn manager(context: &Context) -> Option<ServiceManager> {
    let named = context.service_is_named();
    (!named).then(|| ServiceManager::of_files(|file| Path::new(file).exists())).flatten()
}

impl ServiceManager {
    /// By the files that there are.
    fn of_files(exists: impl Fn(&str) -> bool) -> Option<Self> {
        if UNITS.into_iter().any(&exists) {
            return Some(Self::Systemd);
        }
        exists(PROPERTY_LIST).then_some(Self::Launchd)
    }

    fn start(self) -> String {
        match self {
            Self::Systemd => as_root("systemctl start multipassd"),
            // The first fails where launchd has not been told of the service, or was told to forget it.
            Self::Launchd => format!(
                "{} || {}",
                as_root(&format!("launchctl kickstart {LABEL}")),
                as_root(&format!("launchctl bootstrap system {PROPERTY_LIST}"))
            ),
        }
    }

    fn restart(self) -> String {
        as_root(&match self {
            Self::Systemd => "systemctl restart multipassd".to_owned(),
            Self::Launchd => format!("launchctl kickstart -k {LABEL}"),
        })
    }
}

/// Has the service write its root certificate's file again.
pub(super) fn republish_root(cause: String, listener: Option<&Listener>) -> Diagnosis {
    let command = listener.and_then(sighup);
    let advice = match &command {
        Some(_) => {
            "Have the service write it again; if it stays as it is, the service keeps it elsewhere: name that file \
             with --root-cert:"
        }
        None => {
            "Restart the service, which writes it when it starts; or name the right file with --root-cert, or the \
             service's fingerprint with --fingerprint."
        }
    };
    Diagnosis { cause, advice: advice.to_owned(), command }
}

/// The signal on which the service publishes its root certificate again. Other programs would end of it.
fn sighup(listener: &Listener) -> Option<String> {
    let process = listener.process.filter(|_| listener.program.as_deref() == Some(SERVICE))?;
    Some(kill_command(listener, "HUP", process))
}

/// A signal to whoever listens.
pub(super) fn kill_command(listener: &Listener, name: &str, process: i32) -> String {
    let command = format!("kill -{name} {process}");
    if listener.is_own { command } else { as_root(&command) }
}

/// This user's name, or what to put it in place of.
pub(super) fn user_name() -> String {
    platform::user_name().unwrap_or_else(|| "NAME".to_owned())
}

/// `path` for a shell.
pub(super) fn quoted_path(path: &Path) -> String {
    shell_quoted(&path.display().to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_started_by_whoever_manages_it() {
        for (file, expected) in [
            ("/lib/systemd/system/multipassd.service", Some(("systemctl start", "systemctl restart"))),
            (PROPERTY_LIST, Some(("launchctl bootstrap", "launchctl kickstart -k"))),
            ("/etc/rc.local", None),
        ] {
            let manager = ServiceManager::of_files(|asked| asked == file);
            assert_eq!(manager.is_some(), expected.is_some(), "{file}");
            let (Some(manager), Some((start, restart))) = (manager, expected) else { continue };
            assert!(manager.start().contains(start), "{}", manager.start());
            assert!(manager.restart().contains(restart), "{}", manager.restart());
        }
    }

    #[test]
    fn only_the_service_is_sent_a_signal_that_would_end_others() {
        let listener = |program: &str| Listener {
            process: Some(7),
            program: Some(program.to_owned()),
            user: "me".to_owned(),
            is_own: true,
            is_roots: false,
        };
        assert_eq!(sighup(&listener("multipassd")).as_deref(), Some("kill -HUP 7"));
        assert_eq!(sighup(&listener("nc")), None);
    }
}
