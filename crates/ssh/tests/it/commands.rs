//! What commands are given, and what comes of them.

use bytes::Bytes;
use ssh::{
    ExitStatus, Input, KeyPair, Output, OutputChunk, Session, SessionError, Signal, Terminal, TerminalSize,
};
use tokio::time::timeout;

use crate::guest::{Guest, SOON, STILL, next};

/// All that a command writes, and how it ends.
async fn outcome(mut output: Output) -> (Vec<u8>, Vec<u8>, Result<ExitStatus, SessionError>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        match next(&mut output).await {
            Ok(Some(OutputChunk::Stdout(data))) => stdout.extend_from_slice(&data),
            Ok(Some(OutputChunk::Stderr(data))) => stderr.extend_from_slice(&data),
            Ok(None) => return (stdout, stderr, output.exit()),
            Err(error) => return (stdout, stderr, Err(error)),
        }
    }
}

#[tokio::test]
async fn output_error_and_exit_code_are_told_apart() {
    let guest = Guest::new();
    let (_session, _input, output) = guest.start("both", None).await;
    let (stdout, stderr, exit) = outcome(output).await;
    assert_eq!((stdout.as_slice(), stderr.as_slice()), (&b"out\0\xff"[..], &b"err\0\xff"[..]));
    assert_eq!(exit.unwrap(), ExitStatus::Code(3));
    assert_eq!(guest.facts.all(), [""; 0], "neither a terminal nor an environment");
}

#[tokio::test]
async fn a_command_that_a_signal_ends_says_so() {
    let (_session, _input, output) = Guest::new().start("killed", None).await;
    let exit = outcome(output).await.2.unwrap();
    assert_eq!((exit.code(), exit), (143, ExitStatus::Signal("TERM".to_owned())));
}

#[tokio::test]
async fn ten_megabytes_go_both_ways_unchanged() {
    let (_session, input, output) = Guest::new().start("cat", None).await;
    // No period that is one of any buffer's.
    let data: Vec<u8> = (0..10_000_000_u32).map(|number| (number % 251) as u8).collect();
    let sent = Bytes::from(data.clone());
    let sending = async {
        input.write(sent).await.unwrap();
        input.end().await.unwrap();
    };
    let ((), (stdout, _, exit)) = tokio::join!(sending, outcome(output));
    assert_eq!(exit.unwrap(), ExitStatus::Code(0));
    assert!(stdout == data, "{} of {} bytes", stdout.len(), data.len());
}

#[tokio::test]
async fn a_terminal_has_its_kind_and_its_size_as_it_changes() {
    let guest = Guest::new();
    let terminal =
        Terminal { kind: "xterm-256color".to_owned(), size: TerminalSize { columns: 101, rows: 31 } };
    let session = guest.session().await;
    let (input, output): (Input, Output) = session.start(None, Some(&terminal)).await.unwrap();
    input.resize(TerminalSize { columns: 120, rows: 40 }).await.unwrap();
    input.write(Bytes::from_static(b"\x03")).await.unwrap();
    input.end().await.unwrap();
    assert_eq!(outcome(output).await.2.unwrap(), ExitStatus::Code(0));
    let expected = ["terminal xterm-256color 101x31", "size 120x40", "typed b\"\\x03\""];
    assert_eq!(guest.facts.all(), expected);
}

#[tokio::test]
async fn a_guest_that_has_no_terminal_or_does_not_run_the_command_is_told_of() {
    let none = Terminal { kind: "none".to_owned(), size: TerminalSize { columns: 80, rows: 24 } };
    for (command, terminal) in [("cat", Some(&none)), ("refused", None)] {
        let (_session, _input, output) = Guest::new().start(command, terminal).await;
        let error = outcome(output).await.2.unwrap_err();
        assert!(matches!(error, SessionError::Failed(russh::Error::RequestDenied)), "{command}: {error:?}");
    }
}

#[tokio::test]
async fn signals_reach_the_command() {
    let guest = Guest::new();
    let (_session, input, _output) = guest.start("wait", None).await;
    for (signal, name) in [
        (Signal::Interrupt, "INT"),
        (Signal::Terminate, "TERM"),
        (Signal::Hangup, "HUP"),
        (Signal::Quit, "QUIT"),
    ] {
        input.signal(signal).await.unwrap();
        guest.facts.until(&format!("signal {name}")).await;
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_command_is_lost() {
    let (_session, _input, output) = Guest::new().start("vanish", None).await;
    let (stdout, _, exit) = outcome(output).await;
    assert_eq!(stdout, b"last words");
    assert!(matches!(exit, Err(SessionError::Lost)), "{exit:?}");
    let (_session, _input, output) = Guest::new().start("silent", None).await;
    assert!(matches!(outcome(output).await.2, Err(SessionError::Lost)));
}

#[tokio::test]
async fn who_drops_the_session_ends_the_connection() {
    let guest = Guest::new();
    drop(guest.start("wait", None).await);
    guest.facts.until("the connection has ended").await;
}

#[tokio::test]
async fn output_that_nobody_takes_holds_the_command_back() {
    let guest = Guest::new();
    let (_session, _input, mut output) = guest.start("yes", None).await;
    let mut before = 0;
    let written = loop {
        tokio::time::sleep(STILL).await;
        let now = guest.facts.all().len();
        if now > 0 && now == before {
            break now;
        }
        before = now;
    };
    // Of 32 KiB each: the window, what waits, and what is on its way.
    assert!(written < 256, "{written}");
    let mut taken = 0;
    while taken < (written + 32) * 32 * 1024 {
        let Some(OutputChunk::Stdout(data)) = next(&mut output).await.unwrap() else { panic!("an end") };
        taken += data.len();
    }
}

#[tokio::test]
async fn input_that_the_command_does_not_take_waits() {
    let guest = Guest::new();
    let (_session, input, output) = guest.start("deaf", None).await;
    let chunk = Bytes::from(vec![0; 1 << 16]);
    let mut sent = 0;
    while timeout(STILL, input.write(chunk.clone())).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "nothing holds it back");
    }
    guest.facts.add("enough");
    assert_eq!(outcome(output).await.2.unwrap(), ExitStatus::Code(0));
}

#[tokio::test]
async fn several_commands_share_a_session() {
    let guest = Guest::new();
    let session = guest.session().await;
    let (_first, first) = session.start(Some(b"wait"), None).await.unwrap();
    let (_second, second) = session.start(Some(b"both"), None).await.unwrap();
    assert_eq!(outcome(second).await.2.unwrap(), ExitStatus::Code(3));
    assert_eq!(session.run("both", 100).await.unwrap().code, Some(3));
    drop(first);
}

#[tokio::test]
async fn who_has_another_key_is_not_let_in() {
    let guest = Guest::new();
    for (user, key) in [("ubuntu", &KeyPair::generate().unwrap()), ("root", &guest.client)] {
        let host = guest.host_key();
        let opening = Session::open(guest.stream(), &host, user, key);
        let refused = timeout(SOON, opening).await.unwrap().unwrap_err();
        assert!(matches!(refused, SessionError::NotLetIn { .. }), "{refused:?}");
    }
}
