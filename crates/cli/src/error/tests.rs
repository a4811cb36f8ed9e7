//! Messages, next steps and exit codes.

use super::*;

fn refused(code: Code, message: &str) -> Error {
    Error::from_status(Status::new(code, message))
}

#[test]
fn each_refusal_has_a_message_and_its_next_step_once() {
    let said = "The client is not authenticated with the Multipass service.\n\
                Please authenticate before proceeding, see `multipass authenticate`.";
    for (error, message, next) in [
        (refused(Code::Unauthenticated, said), said, None),
        (
            refused(Code::Unauthenticated, ""),
            "the client is not authenticated with the Multipass service",
            Some("multipass authenticate"),
        ),
        (
            refused(Code::FailedPrecondition, "No passphrase is set."),
            "No passphrase is set.",
            Some("multipass set local.passphrase"),
        ),
        (refused(Code::InvalidArgument, "Passphrase is not correct."), "Passphrase is not correct.", None),
        (
            refused(Code::NotFound, "instance \"a\" does not exist"),
            "instance \"a\" does not exist",
            Some("multipass list"),
        ),
        (
            refused(Code::FailedPrecondition, "Instance 'a' is deleted."),
            "Instance 'a' is deleted.",
            Some("multipass recover"),
        ),
        (refused(Code::NotFound, "nothing like it"), "nothing like it", None),
        (refused(Code::ResourceExhausted, "too many guesses"), "too many guesses", Some("Wait")),
        (refused(Code::ResourceExhausted, "try again in 4 s"), "try again in 4 s", None),
        (
            refused(Code::Unimplemented, ""),
            "the service does not know this command",
            Some("multipass version"),
        ),
        (refused(Code::Internal, ""), "the service refused, and gave no reason (Internal error)", None),
    ] {
        assert_eq!(error.message(), message);
        let step = error.next_step();
        assert_eq!(step.is_some(), next.is_some(), "{message}: {step:?}");
        assert!(step.unwrap_or_default().contains(next.unwrap_or_default()), "{message}");
        assert_eq!(error.exit_code(), EXIT_FAILED);
    }
}

#[test]
fn a_broken_connection_is_no_refusal() {
    let status = Status::from_error(Box::new(io::Error::new(io::ErrorKind::ConnectionReset, "reset")));
    let error = Error::from_status(status);
    assert_eq!(error.message(), "the connection to the service was lost: reset");
    assert!(error.next_step().is_some());
}

#[test]
fn an_absent_service_has_the_stock_words() {
    let endpoint: Endpoint = "unix:/run/none".parse().expect("an address");
    let error = Error::NoService { endpoint, source: io::ErrorKind::NotFound.into() };
    assert_eq!(error.message(), "cannot connect to the multipass socket");
    assert!(error.next_step().expect("a step").contains("unix:/run/none"));
}

#[test]
fn exit_codes() {
    assert_eq!(Error::usage("x", None).exit_code(), 1);
    assert_eq!(Error::InvalidReply("x").exit_code(), 2);
    assert_eq!(Error::Signal(2).exit_code(), 130);
    assert_eq!(Error::Exited(3).exit_code(), 3);
}
