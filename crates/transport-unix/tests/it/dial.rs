//! Why a client does not get through, told apart.

use std::io::ErrorKind;

use tokio::time::Instant;
use transport::testkit::run;
use transport::{ConnectError, Connection, Endpoint, HostPort, ListenError, Listener, Transport};
use transport_unix::{SocketAccess, UnixTransport};

use crate::support::{Place, Unprivileged, set_mode};

async fn dial(place: &Place, endpoint: &Endpoint) -> ConnectError {
    let dialled: Result<Box<dyn Connection>, _> =
        UnixTransport::default().dial(endpoint, place.server.client(None)).await;
    dialled.err().expect("nobody serves there")
}

#[test]
fn nothing_listens_where_no_socket_is() {
    run(async {
        let place = Place::new();
        match dial(&place, &place.endpoint()).await {
            ConnectError::NotListening { endpoint, source } => {
                assert_eq!((endpoint, source.kind()), (place.endpoint(), ErrorKind::NotFound));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn nothing_listens_on_a_stale_socket() {
    run(async {
        let place = Place::new();
        place.leave_stale_socket();
        match dial(&place, &place.endpoint()).await {
            ConnectError::NotListening { endpoint, source } => {
                assert_eq!((endpoint, source.kind()), (place.endpoint(), ErrorKind::ConnectionRefused));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn nothing_listens_once_the_listener_is_closed() {
    run(async {
        let place = Place::new();
        let listener = place.bind(SocketAccess::Private).await.unwrap();
        Box::new(listener).close(Instant::now()).await;
        let error = dial(&place, &place.endpoint()).await;
        assert!(matches!(error, ConnectError::NotListening { .. }), "{error:?}");
    });
}

#[test]
fn a_socket_that_is_closed_to_the_user_is_no_missing_one() {
    run(async {
        let place = Place::new();
        let _listener = place.bind(SocketAccess::Private).await.unwrap();
        set_mode(&place.socket(), 0);
        let _unprivileged = Unprivileged::new();
        match dial(&place, &place.endpoint()).await {
            ConnectError::PermissionDenied { endpoint, source } => {
                assert_eq!((endpoint, source.kind()), (place.endpoint(), ErrorKind::PermissionDenied));
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A crowd that connects all the time keeps the queue full.
#[test]
#[cfg(target_os = "linux")] // Other systems refuse, as if nothing listened.
fn who_finds_the_queue_full_waits_for_room() {
    run(async {
        let place = Place::new();
        let mut listener = place.bind(SocketAccess::Private).await.unwrap();
        let mut queue = Vec::new();
        let full = loop {
            match tokio::net::UnixStream::connect(place.socket()).await {
                Ok(stream) => queue.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let serve = async {
            for _ in &queue {
                listener.accept().await.unwrap().refuse();
            }
            listener.accept().await.unwrap().handshake().await
        };
        let (transport, at) = (UnixTransport::default(), place.endpoint());
        // Polled in this order: there is no room at first.
        let (client, server) = tokio::join!(transport.dial(&at, place.server.client(None)), serve);
        assert!(client.is_ok() && server.is_ok(), "{:?} {:?}", client.err(), server.err());
    });
}

#[test]
fn a_path_through_a_file_is_unreachable() {
    run(async {
        let place = Place::new();
        std::fs::write(place.socket(), "").unwrap();
        let below = Endpoint::Unix(place.socket().join("socket"));
        let error = dial(&place, &below).await;
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    });
}

#[test]
fn other_kinds_of_address_are_not_served() {
    run(async {
        let place = Place::new();
        let tcp = Endpoint::Tcp(HostPort::new("localhost", 50051));
        assert!(matches!(dial(&place, &tcp).await, ConnectError::Unsupported(at) if at == tcp));
        let listened = UnixTransport::default().listen(&tcp, place.server.tls()).await;
        assert!(matches!(listened, Err(ListenError::Unsupported(at)) if at == tcp));
    });
}
