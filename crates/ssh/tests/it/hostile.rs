//! Guests that are not what they should be.

use ssh::{ExitStatus, KeyPair, Session, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::guest::{Guest, SOON, next};

#[tokio::test]
async fn a_host_with_another_key_is_sent_nothing_of_ours() {
    let guest = Guest::new();
    let another = KeyPair::generate().unwrap().public();
    let opening = Session::open(guest.stream(), &another, "ubuntu", &guest.client);
    let refused = timeout(SOON, opening).await.unwrap().unwrap_err();
    assert!(matches!(refused, SessionError::WrongHost), "{refused:?}");
    guest.facts.until("the connection has ended").await;
}

#[tokio::test]
async fn a_guest_opens_nothing_through_us() {
    let guest = Guest::new();
    let (_session, _input, mut output) = guest.start("nosy", None).await;
    while next(&mut output).await.unwrap().is_some() {}
    assert_eq!(output.exit().unwrap(), ExitStatus::Code(0));
    let facts = guest.facts.all();
    assert_eq!(facts.len(), 7, "{facts:?}");
    assert!(facts.iter().all(|fact| fact.ends_with(" false")), "{facts:?}");
}

#[tokio::test]
async fn what_does_not_speak_ssh_is_given_up() {
    for said in
        ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n\0\0\0\0", "SSH-2.0-x\r\n\u{7f}aaaaaaaa"]
    {
        let (near, mut far) = tokio::io::duplex(4096);
        let guest = Guest::new();
        let talking = tokio::spawn(async move {
            let _ = far.write_all(said.as_bytes()).await;
            let _ = far.shutdown().await;
            let _ = far.read_to_end(&mut Vec::new()).await;
        });
        let host = guest.host_key();
        let opening = Session::open(near, &host, "ubuntu", &guest.client);
        let refused = timeout(SOON, opening).await.expect("an end").unwrap_err();
        assert!(matches!(refused, SessionError::Failed(_)), "{said:?}: {refused:?}");
        timeout(SOON, talking).await.expect("the stream's end").unwrap();
    }
}
