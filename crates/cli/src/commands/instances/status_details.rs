//! What a service says of each instance, or of each argument, when it refuses: it comes beside its message.

use std::collections::BTreeMap;

use prost::Message;
use rpc::launch_error::ErrorCodes;
use rpc::start_error::ErrorCode;
use rpc::{LaunchError, LaunchRequest, StartError};
use tonic::Status;

use crate::error::Error;

/// A refusal of `start` or `restart`, with each instance that it is about and what to do about it.
pub(super) fn explain_start(error: Error) -> Error {
    let Error::Refused(status) = &error else {
        return error;
    };
    let Some(details) = details::<StartError>(status) else {
        return error;
    };
    let mut lines = said(status);
    let mut steps = Vec::new();
    // In an order that is the same each time.
    let instances: BTreeMap<_, _> = details.instance_errors.into_iter().collect();
    for (name, code) in instances {
        let shown = name.escape_debug();
        let (what, step) = match ErrorCode::try_from(code) {
            Ok(ErrorCode::Ok) => continue,
            Ok(ErrorCode::DoesNotExist) => (
                format!("instance \"{shown}\" does not exist"),
                Some("`multipass list` shows the instances that there are.".to_owned()),
            ),
            Ok(ErrorCode::InstanceDeleted) => (
                format!("Instance '{shown}' is deleted."),
                Some(format!("`multipass recover {shown}` brings it back.")),
            ),
            Ok(ErrorCode::Other) | Err(_) => (format!("instance \"{shown}\" did not start"), None),
        };
        if !names(status.message(), &name) {
            add(&mut lines, &what);
        }
        // The service's own message may have it already.
        let is_said = |step: &str| step.split('`').nth(1).is_some_and(|command| lines.contains(command));
        steps.extend(step.filter(|step| !steps.contains(step) && !is_said(step)));
    }
    explained(error, lines, steps)
}

/// A refusal of `launch`, with each argument that it is about and what is possible instead.
pub(super) fn explain_launch(error: Error, request: &LaunchRequest) -> Error {
    let Error::Refused(status) = &error else {
        return error;
    };
    let Some(details) = details::<LaunchError>(status) else {
        return error;
    };
    let mut lines = said(status);
    let mut steps = Vec::new();
    for code in details.error_codes() {
        // The last two are in the service's own message, if that says it, and what to do.
        let (what, step, key, way_out) = match code {
            ErrorCodes::Ok => continue,
            ErrorCodes::InvalidMemSize => (
                format!("{} is not a valid memory size", shown(&request.mem_size)),
                "Give --memory at least 128M: bytes, or a number with K, M or G, such as 1.5G.",
                "memory size",
                "--memory",
            ),
            ErrorCodes::InvalidDiskSize => (
                format!("{} is not a valid disk size", shown(&request.disk_space)),
                "Give --disk at least 512M: bytes, or a number with K, M or G, such as 5G.",
                "disk size",
                "--disk",
            ),
            ErrorCodes::InvalidHostname => (
                format!("Invalid instance name supplied: {}", shown(&request.instance_name)),
                "A name has letters, digits and hyphens, begins with a letter, and ends with a letter or a digit.",
                "Invalid instance name supplied",
                "begins with a letter",
            ),
            ErrorCodes::InvalidNetwork => (
                "the service has no such network".to_owned(),
                "`multipass networks` lists them.",
                "network",
                "--network",
            ),
            ErrorCodes::ZoneUnavailable => {
                ("the zone is not available".to_owned(), "Launch it in another zone.", "zone", "--zone")
            }
        };
        let is_said = lines.contains(way_out);
        if !is_said && !lines.contains(key) {
            add(&mut lines, &what);
        }
        if !is_said {
            steps.push(step.to_owned());
        }
    }
    explained(error, lines, steps)
}

fn explained(error: Error, lines: String, steps: Vec<String>) -> Error {
    if steps.is_empty() && lines.is_empty() {
        return error;
    }
    let next = (!steps.is_empty()).then(|| steps.join("\n"));
    Error::Failed { message: lines, next }
}

/// The details, if there are any. Those of a service that means something else by them are none.
fn details<T: Message + Default + PartialEq>(status: &Status) -> Option<T> {
    T::decode(status.details()).ok().filter(|details| *details != T::default())
}

/// Whether a message is about that instance.
fn names(message: &str, instance: &str) -> bool {
    let separates = |character: char| !character.is_alphanumeric() && character != '-';
    message.split(separates).any(|word| word == instance)
}

fn said(status: &Status) -> String {
    status.message().trim().to_owned()
}

fn add(lines: &mut String, line: &str) {
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(line);
}

fn shown(value: &str) -> String {
    format!("\"{}\"", value.escape_debug())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn refused(message: &str, details: &impl Message) -> Error {
        let details = details.encode_to_vec().into();
        Error::from_status(Status::with_details(Code::InvalidArgument, message, details))
    }

    #[test]
    fn each_argument_is_named_once_and_has_its_step() {
        let request = LaunchRequest {
            instance_name: "-a".into(),
            mem_size: "1Q".into(),
            disk_space: "\u{1b}x".into(),
            ..Default::default()
        };
        for (codes, said, message, steps) in [
            (
                &[ErrorCodes::InvalidMemSize][..],
                "Invalid arguments supplied",
                "Invalid arguments supplied\n\"1Q\" is not a valid memory size",
                &["128M"][..],
            ),
            (
                &[ErrorCodes::InvalidMemSize],
                "\"1Q\" is not a valid memory size",
                "\"1Q\" is not a valid memory size",
                &["128M"],
            ),
            (
                &[ErrorCodes::InvalidHostname, ErrorCodes::InvalidDiskSize],
                "",
                "Invalid instance name supplied: \"-a\"\n\"\\u{1b}x\" is not a valid disk size",
                &["begins with a letter", "512M"],
            ),
            (&[ErrorCodes::InvalidNetwork], "", "the service has no such network", &["networks"]),
            (&[ErrorCodes::ZoneUnavailable], "", "the zone is not available", &["another zone"]),
        ] {
            let error_codes = codes.iter().map(|code| i32::from(*code)).collect();
            let error = explain_launch(refused(said, &LaunchError { error_codes }), &request);
            assert_eq!(error.message(), message);
            assert_eq!(error.exit_code(), 2);
            let next = error.next_step().unwrap_or_default();
            assert_eq!(next.lines().count(), steps.len(), "{next}");
            for step in steps {
                assert!(next.contains(step), "{next}");
            }
        }
    }

    #[test]
    fn all_instances_that_fail_are_told() {
        let details = StartError {
            instance_errors: [
                ("gone", ErrorCode::InstanceDeleted),
                ("b", ErrorCode::DoesNotExist),
                ("a", ErrorCode::DoesNotExist),
                ("other", ErrorCode::Other),
                ("fine", ErrorCode::Ok),
            ]
            .map(|(name, code)| (name.to_owned(), code.into()))
            .into(),
        };
        let error = explain_start(refused("", &details));
        assert_eq!(
            error.message(),
            "instance \"a\" does not exist\n\
             instance \"b\" does not exist\n\
             Instance 'gone' is deleted.\n\
             instance \"other\" did not start"
        );
        let next = error.next_step().unwrap_or_default();
        assert_eq!(
            next,
            "`multipass list` shows the instances that there are.\n`multipass recover gone` brings it back."
        );

        // No instance is named by a letter of another word.
        let error = explain_start(refused("Invalid names: b", &details));
        assert_eq!(error.message().lines().nth(1), Some("instance \"a\" does not exist"));

        let said = "a and b: no such instance; gone: deleted; other: no memory left";
        assert_eq!(explain_start(refused(said, &details)).message(), said);
    }

    #[test]
    fn a_refusal_without_details_stays_as_it_is() {
        let request = LaunchRequest::default();
        for details in [&[][..], &[0xff; 3]] {
            let status = || Status::with_details(Code::Unauthenticated, "", details.to_vec().into());
            for error in [
                explain_start(Error::from_status(status())),
                explain_launch(Error::from_status(status()), &request),
            ] {
                assert!(error.next_step().is_some_and(|next| next.contains("multipass authenticate")));
            }
        }
    }
}
