//! What launchd is told of the daemon, held against the daemon. There is no launchd in it: that it does what
//! launchd.plist(5) says, only a Mac can tell.

use std::time::Duration;

use clap::Parser;
use plist::{Dictionary, Value};

use super::background::REFUSALS_DEADLINE;
use crate::config::{Arguments, Logger};
use crate::{connections, logging, machines};

const LIST: &str = include_str!("../../launchd/com.canonical.multipassd.plist");
const DOCUMENTATION: &str = include_str!("../../../../docs/macos.md");

/// The keys of launchd.plist(5). Others are ignored without a word.
const KEYS: [&str; 47] = [
    "AbandonProcessGroup",
    "AssociatedBundleIdentifiers",
    "Debug",
    "Disabled",
    "EnableGlobbing",
    "EnablePressuredExit",
    "EnableTransactions",
    "EnvironmentVariables",
    "ExitTimeOut",
    "GroupName",
    "HardResourceLimits",
    "InitGroups",
    "KeepAlive",
    "Label",
    "LaunchEvents",
    "LaunchOnlyOnce",
    "LegacyTimers",
    "LimitLoadFromHosts",
    "LimitLoadToHosts",
    "LimitLoadToSessionType",
    "LowPriorityBackgroundIO",
    "LowPriorityIO",
    "MachServices",
    "Nice",
    "ProcessType",
    "Program",
    "ProgramArguments",
    "QueueDirectories",
    "RootDirectory",
    "RunAtLoad",
    "SessionCreate",
    "Sockets",
    "SoftResourceLimits",
    "StandardErrorPath",
    "StandardInPath",
    "StandardOutPath",
    "StartCalendarInterval",
    "StartInterval",
    "StartOnMount",
    "ThrottleInterval",
    "TimeOut",
    "Umask",
    "UserName",
    "WaitForDebugger",
    "WatchPaths",
    "WorkingDirectory",
    "inetdCompatibility",
];

fn list() -> Dictionary {
    Value::from_reader_xml(LIST.as_bytes()).unwrap().into_dictionary().unwrap()
}

/// What the documentation shows as commands and places has this in it.
fn is_documented(what: &str) {
    assert!(DOCUMENTATION.contains(what), "docs/macos.md does not tell of {what}");
}

#[test]
fn launchd_knows_what_it_is_told() {
    let list = list();
    for key in list.keys() {
        assert!(KEYS.contains(&key.as_str()), "{key}");
    }
    let label = list.get("Label").and_then(Value::as_string).unwrap();
    is_documented(&format!("/Library/LaunchDaemons/{label}.plist"));
    is_documented(&format!("launchctl bootout system/{label}"));
    is_documented(&format!("crates/daemon/launchd/{label}.plist"));
    is_documented(list.get("StandardErrorPath").and_then(Value::as_string).unwrap());
}

#[test]
fn it_starts_the_daemon_with_arguments_that_the_daemon_takes() {
    let list = list();
    let arguments = list.get("ProgramArguments").and_then(Value::as_array).unwrap();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_string().unwrap()).collect();
    let (directory, name) = arguments[0].rsplit_once('/').unwrap();
    assert!(directory.starts_with('/') && name == "multipassd");
    for program in ["multipassd", "multipass"] {
        is_documented(&format!("{directory}/{program}"));
    }

    // Whatever the settings of this machine's own daemon are.
    let settings = tempfile::NamedTempFile::new().unwrap();
    let settings = settings.path().to_str().unwrap();
    let arguments = Arguments::try_parse_from(arguments.into_iter().chain(["--config", settings])).unwrap();
    assert!(arguments.command.is_none());
    let settings = arguments.settings().unwrap();
    assert_eq!(settings.logger, Logger::Platform);
    // At the usual places, which clients know.
    assert!(settings.address.is_empty() && settings.root_cert.is_none());
    is_documented(logging::SYSTEM_LOGS);
}

#[test]
fn it_is_started_again_only_if_it_fails_and_has_time_to_stop() {
    let list = list();
    let is = |key: &str| list.get(key).and_then(Value::as_boolean);
    assert_eq!((is("RunAtLoad"), is("AbandonProcessGroup")), (Some(true), Some(true)));
    let restarted = list.get("KeepAlive").and_then(Value::as_dictionary).unwrap();
    let conditions: Vec<_> =
        restarted.iter().map(|(key, value)| (key.as_str(), value.as_boolean())).collect();
    assert_eq!(conditions, [("SuccessfulExit", Some(false))]);

    let seconds = list.get("ExitTimeOut").and_then(Value::as_unsigned_integer).unwrap();
    let stopping = connections::DRAIN_DEADLINE + machines::SETTLING_DEADLINE + REFUSALS_DEADLINE;
    // What is written in between takes as long as the disk does.
    let for_the_disk = Duration::from_secs(10);
    assert!(Duration::from_secs(seconds) >= stopping + for_the_disk, "{seconds} s for {stopping:?}");

    assert_eq!(list.get("Umask").and_then(Value::as_unsigned_integer), Some(0o077));
}
