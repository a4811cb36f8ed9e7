//! The client against a QEMU that says what the test wants. The real one is in `tests/it`.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

use super::commands::{Continue, HumanMonitor, QueryStatus};
use super::*;

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#;

/// QEMU's end: answers each command with the lines that `answer` makes for it, until it makes none.
async fn qemu(stream: DuplexStream, mut answer: impl FnMut(&str, &Value) -> Vec<Vec<u8>>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(format!("{GREETING}\r\n").as_bytes()).await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let command: Value = serde_json::from_str(&line).unwrap();
        line.clear();
        let name = command["execute"].as_str().unwrap();
        let lines = match name {
            "qmp_capabilities" => vec![done(&command, json!({}))],
            name => answer(name, &command),
        };
        if lines.is_empty() {
            return;
        }
        for line in lines {
            if stream.write_all(&line).await.is_err() {
                return;
            }
        }
    }
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\r\n").into_bytes()
}

fn done(command: &Value, value: Value) -> Vec<u8> {
    line(&json!({ "return": value, "id": command["id"] }))
}

async fn client(
    answer: impl FnMut(&str, &Value) -> Vec<Vec<u8>> + Send + 'static,
) -> Result<Qmp<DuplexStream>, QmpError> {
    let (ours, theirs) = tokio::io::duplex(1024);
    tokio::spawn(qemu(theirs, answer));
    Qmp::greet(ours).await
}

#[tokio::test]
async fn an_answer_is_told_from_events_and_from_answers_that_came_too_late() {
    let qmp = client(|name, command| {
        assert_eq!(name, "query-status");
        let event = json!({ "event": "RESUME", "timestamp": {} });
        let late = json!({ "return": {}, "id": 0 });
        let status = json!({ "running": true, "status": "running", "singlestep": false });
        vec![line(&event), line(&late), done(command, status)]
    });
    let status = qmp.await.unwrap().run(QueryStatus {}).await.unwrap();
    assert!(status.running);
}

#[tokio::test]
async fn a_refusal_says_why_in_one_printable_line() {
    let qmp = client(|_, command| {
        assert_eq!(command["arguments"]["command-line"], "x");
        let error = json!({ "class": "GenericError", "desc": "no\u{1b}[2J\nway" });
        vec![line(&json!({ "error": error, "id": command["id"] }))]
    });
    let error = qmp.await.unwrap().run(HumanMonitor { command_line: "x".into() }).await.unwrap_err();
    assert_eq!(error.to_string(), "QEMU refuses 'human-monitor-command': no [2J way");
}

#[tokio::test]
async fn nonsense_and_floods_end_the_connection() {
    type Answer = fn() -> Vec<Vec<u8>>;
    let nonsense: [Answer; 6] = [
        || vec![b"nonsense\n".to_vec()],
        || vec![b"{}\n".to_vec()],
        || vec![b"\xff\xfe\n".to_vec()],
        || vec![vec![b'['; 200_000], b"\n".to_vec()],
        || vec![vec![b' '; usize::try_from(wire::LONGEST).unwrap() + 1]],
        || vec![line(&json!({ "return": {}, "id": 0 })); 1000],
    ];
    for (number, lines) in nonsense.into_iter().enumerate() {
        let qmp = client(move |_, _| lines()).await.unwrap();
        let error = qmp.run(Continue {}).await.unwrap_err();
        assert!(matches!(error, QmpError::Closed), "{number}: {error}");
        assert_eq!(qmp.end().await, End::Ended, "{number}");
        let again = qmp.run(Continue {}).await.unwrap_err();
        assert!(matches!(again, QmpError::Closed), "{number}: {again}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_qemu_is_not_waited_for_without_end() {
    let qmp = client(|_, _| vec![Vec::new()]).await.unwrap();
    let error = qmp.run(Continue {}).await.unwrap_err();
    assert_eq!(error.to_string(), "QEMU has not answered 'cont' within 20 seconds");

    let (ours, _theirs) = tokio::io::duplex(64);
    let error = Qmp::greet(ours).await.unwrap_err();
    assert!(matches!(error, QmpError::TimedOut { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_qemu_that_never_ends_a_job_is_not_waited_for_without_end() {
    let qmp = client(|name, command| {
        assert_eq!(name, "query-jobs");
        vec![done(
            command,
            json!([{ "id": "save", "status": "running" }, { "id": "delete", "status": "running" }]),
        )]
    });
    let error = crate::snapshot::save(&qmp.await.unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "QEMU has not answered 'delete' within 900 seconds");
}

#[tokio::test]
async fn the_end_says_whether_the_guest_wanted_it() {
    let shutdown = |guest: bool, reason: &str| {
        line(&json!({ "event": "SHUTDOWN", "data": { "guest": guest, "reason": reason } }))
    };
    for (event, expected) in [
        (shutdown(true, "guest-shutdown"), End::GuestShutDown),
        (shutdown(false, "host-qmp-quit"), End::Ended),
        (shutdown(false, "guest-shutdown"), End::Ended),
    ] {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let said =
            [format!("{GREETING}\n").as_bytes(), br#"{"return": {}, "id": 1}"#, b"\n", &event].concat();
        theirs.write_all(&said).await.unwrap();
        let qmp = Qmp::greet(ours).await.unwrap();
        drop(theirs);
        assert_eq!(qmp.end().await, expected);
    }
}

#[tokio::test]
async fn a_qemu_that_ends_without_a_greeting_is_told() {
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let error = Qmp::greet(ours).await.unwrap_err();
    assert!(matches!(error, QmpError::Closed), "{error}");
}

#[tokio::test]
async fn a_halt_for_want_of_room_is_told_and_no_other_fault() {
    let fault = |action: &str| {
        line(&json!({ "event": "BLOCK_IO_ERROR", "data": { "nospace": true, "action": action } }))
    };
    for (action, expected) in [("stop", true), ("report", false)] {
        let event = fault(action);
        let qmp = client(move |_, command| vec![event.clone(), done(command, json!({}))]).await.unwrap();
        qmp.run(Continue {}).await.unwrap();
        let halted = timeout(Duration::ZERO, qmp.halted()).await;
        assert_eq!(halted.is_ok(), expected, "{action}");
    }
}
