//! How connections end: the other side knows at once, and has all that was said to the end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, pause, sleep, timeout};
use transport::testkit::relay::{Conditions, Relay};
use transport::testkit::run;
use transport::{Connection, Stream, Transport};
use transport_quic::QuicTransport;

use crate::support::{Service, address, endpoint, open, round_trip};

/// Far below the time after which a peer counts as gone that says nothing.
const SOON: Duration = Duration::from_secs(10);

/// Whether the service sees the connection end.
async fn ends(mut served: Box<dyn Connection>) {
    let next = timeout(SOON, served.next_stream()).await;
    assert!(next.expect("the end should be known at once").is_none());
}

#[test]
fn a_client_that_drops_its_connection_is_known_to_have_gone() {
    run(async {
        let mut service = Service::start().await;
        let (client, served) = service.connect().await;
        drop(client);
        ends(served).await;

        // Its stream keeps it alive.
        let (mut client, mut served) = service.connect().await;
        let (mut here, mut there) = open(&mut client, &mut served, 0).await;
        let closer = client.closer();
        drop(client);
        round_trip(&mut here, &mut there).await;
        drop(here);
        ends(served).await;
        drop(closer);
    });
}

/// As a program does: its runtime ends with it, and whatever was to be sent later is never sent.
#[test]
fn a_client_that_closes_and_ends_has_said_so() {
    run(async {
        let mut service = Service::start().await;
        for stream_is_open in [false, true] {
            let (at, tls) = (service.at.clone(), service.server.client(None));
            let program = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut connection = QuicTransport::default().dial(&at, tls).await.unwrap();
                    let mut stream: Option<Stream> = None;
                    if stream_is_open {
                        let stream = stream.insert(connection.open_stream().await.unwrap());
                        stream.write_u8(1).await.unwrap();
                        assert_eq!(stream.read_u8().await.unwrap(), 2);
                    }
                    connection.close().await;
                });
            });
            let mut served = service.accept().await.handshake().await.unwrap();
            if stream_is_open {
                let mut stream = served.next_stream().await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), 1);
                stream.write_u8(2).await.unwrap();
            }
            ends(served).await;
            program.join().unwrap();
        }
    });
}

/// Also of a connection that has ended already, from which nothing can be sent.
#[test]
fn closing_takes_no_time() {
    run(async {
        let mut service = Service::start().await;
        for ended_before in [false, true] {
            let (mut client, served) = service.connect().await;
            if ended_before {
                drop(served);
                let _ = client.next_stream().await;
            }
            timeout(SOON, client.close()).await.expect("it ends");
        }
    });
}

/// The service answers, ends its half and lets go of everything, as HTTP/2 does.
#[test]
fn what_was_said_before_the_end_arrives() {
    run(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let (mut here, mut there) = open(&mut client, &mut served, 0).await;
        let answer = vec![9; 3 << 20];
        let answering = {
            let answer = answer.clone();
            async move {
                there.write_all(&answer).await.unwrap();
                there.shutdown().await.unwrap();
                // It may be said twice.
                there.shutdown().await.unwrap();
                drop((there, served));
            }
        };
        let mut read = Vec::new();
        let ((), result) = tokio::join!(answering, here.read_to_end(&mut read));
        result.expect("an orderly end");
        assert!(read == answer, "{} bytes, not those sent", read.len());
    });
}

#[test]
fn who_reads_no_more_is_known() {
    run(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let (here, mut there) = open(&mut client, &mut served, 0).await;
        drop(here);
        let writing = async {
            loop {
                if let Err(error) = there.write_all(&[0; 1024]).await {
                    return error;
                }
            }
        };
        let error = timeout(SOON, writing).await.expect("the write fails");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        let ended = there.shutdown().await.expect_err("it did not arrive");
        assert_eq!(ended.kind(), std::io::ErrorKind::BrokenPipe, "{ended}");
    });
}

/// Whoever still holds what was cut.
#[test]
fn a_cut_is_told_to_the_peer() {
    run(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let (mut here, _there) = open(&mut client, &mut served, 0).await;
        served.closer().close();
        let read = timeout(SOON, here.read_u8()).await.expect("the client knows at once");
        assert!(read.is_err());
        assert!(timeout(SOON, client.next_stream()).await.expect("it knows by now").is_none());
        ends(served).await;
    });
}

/// A runtime whose clock goes on only while nothing else can, from the moment that the test pauses it.
fn run_patiently(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

#[test]
fn a_connection_may_be_silent_for_hours() {
    run_patiently(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let (mut here, mut there) = open(&mut client, &mut served, 0).await;
        pause();
        sleep(Duration::from_secs(3 * 60 * 60)).await;
        round_trip(&mut here, &mut there).await;
    });
}

#[test]
fn a_peer_that_is_gone_is_missed_after_half_a_minute() {
    run_patiently(async {
        let mut service = Service::start().await;
        let relay = Relay::start(address(&service.at), Conditions::default(), 1);
        let (client, mut served) = service.connect_by(&endpoint(relay.address()), None).await;
        drop(relay);
        pause();
        let start = Instant::now();
        assert!(served.next_stream().await.is_none());
        assert!((20..60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        drop(client);
    });
}

#[test]
fn a_service_that_closes_tells_its_clients() {
    run(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let (mut here, there) = open(&mut client, &mut served, 0).await;
        timeout(SOON, service.listener.close(Instant::now())).await.expect("it closes");
        let read = timeout(SOON, here.read_u8()).await.expect("the client knows at once");
        assert!(read.is_err());
        drop((there, served));
    });
}

/// Who holds what was served does not hold the port.
#[test]
fn a_closed_port_is_free_whatever_is_left_of_its_connections() {
    run(async {
        let mut service = Service::start().await;
        let (mut client, mut served) = service.connect().await;
        let streams = open(&mut client, &mut served, 0).await;
        let waiting = {
            let (at, tls) = (service.at.clone(), service.server.client(None));
            tokio::spawn(async move { QuicTransport::default().dial(&at, tls).await.map(drop) })
        };
        let incoming = service.accept().await;
        let Service { server, listener, at } = service;
        listener.close(Instant::now()).await;
        let again = crate::support::listen(&at, &server).await.expect("the port is free");
        assert_eq!(again.endpoints(), [at]);
        drop((streams, served, incoming));
        waiting.abort();
    });
}
