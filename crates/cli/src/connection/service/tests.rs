//! Connections and calls, against services that are not as they should be.

use std::fs;
use std::pin::Pin;

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tonic::{Status, Streaming};
use transport::testkit::certificates::{TestIdentity, TestServer};
use transport::testkit::run;
use transport::tls::ServerTls;

use super::reply::MAX_ANSWER_SIZE;
use super::*;
use crate::connection::testkit::TestService;
use crate::terminal::Progress;

#[test]
fn what_is_missing_is_told_apart() {
    run(async {
        let test = TestService::new();
        assert!(matches!(test.refusal().await, Error::NoService { .. }));

        fs::remove_file(test.path("root.pem")).expect("removed");
        assert!(matches!(test.refusal().await, Error::NoService { .. }), "neither socket nor root");

        let _socket = UnixListener::bind(test.path("socket")).expect("bound");
        let error = test.refusal().await;
        assert!(error.message().contains("root.pem"), "{}", error.message());
        assert!(matches!(error, Error::RootCertificateMissing { .. }));

        test.publish("not a certificate");
        assert!(matches!(test.refusal().await, Error::RootCertificateInvalid { .. }));
    });
}

#[test]
fn a_service_under_another_root_is_not_trusted() {
    run(async {
        let test = TestService::new();
        test.serve(|_| async {}).await;
        test.publish(&TestServer::generate().root_pem());
        let error = test.refusal().await;
        assert!(error.message().contains("root.pem"), "{}", error.message());
        assert!(matches!(error, Error::ServerUntrusted { .. }));
    });
}

#[test]
fn a_service_is_known_by_the_fingerprint_of_the_root_that_it_presents() {
    run(async {
        let another = TestServer::generate().root().fingerprint();
        for (is_pinned, presents_root, refusal) in [
            (true, true, None),
            (false, true, Some(("another root", "multipassd fingerprint"))),
            (true, false, Some(("no root", "--root-cert"))),
        ] {
            let test = TestService::new();
            let own = test.server.root().fingerprint();
            let alone = ServerTls::new(test.server.identity().identity()).expect("TLS");
            let presents = if presents_root { test.server.tls() } else { alone };
            test.serve_as(presents, |_| async {}).await;
            let pinned = if is_pinned { own } else { another };
            let context = Context::pinned_at(&test.address(), pinned);
            let connected = Service::connect_as(&context, TestIdentity::client().identity()).await;
            match (connected, refusal) {
                (Ok(_), None) => {}
                (Err(error @ Error::ServerTrust(_)), Some((message, next))) => {
                    assert!(error.message().contains(message), "{}", error.message());
                    for fingerprint in [own, another].map(|fingerprint| fingerprint.to_string()) {
                        assert_eq!(error.message().contains(&fingerprint), !is_pinned, "{}", error.message());
                    }
                    assert!(error.next_step().expect("a step").contains(next), "{:?}", error.next_step());
                }
                (connected, _) => panic!("{:?}", connected.err()),
            }
        }
    });
}

#[test]
fn something_that_is_no_service() {
    run(async {
        let test = TestService::new();
        let listener = UnixListener::bind(test.path("socket")).expect("bound");
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("a client");
            client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        });
        assert!(matches!(test.refusal().await, Error::Connect { .. }));
    });
}

#[test]
fn a_service_that_leaves_in_the_middle_of_a_call_is_lost_and_has_not_refused() {
    run(async {
        let test = TestService::new();
        test.serve(|mut stream| async move { drop(stream.read(&mut [0; 64]).await) }).await;
        let mut service = test.connect().await.expect("connected");
        let answer = service.rpc.list(once(rpc::ListRequest::default())).await;
        let error = service.read_replies(answer, drop).await.expect_err("no answer");
        assert!(matches!(error, Error::ConnectionLost(_)), "{error:?}");
        assert!(error.message().starts_with("the connection to the service was lost"), "{}", error.message());
    });
}

/// Answers `launch` with `replies` and then `end`, or never ends.
struct Launches {
    replies: Vec<rpc::LaunchReply>,
    end: Option<Status>,
}

impl tonic::server::StreamingService<rpc::LaunchRequest> for Launches {
    type Response = rpc::LaunchReply;
    type ResponseStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<rpc::LaunchReply, Status>> + Send>>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<Streaming<rpc::LaunchRequest>>) -> Self::Future {
        use tokio_stream::StreamExt;
        let replies = tokio_stream::iter(std::mem::take(&mut self.replies)).map(Ok);
        let stream: Self::ResponseStream = match self.end.take() {
            Some(end) => Box::pin(replies.chain(once(Err(end)))),
            None => Box::pin(replies.chain(tokio_stream::pending())),
        };
        std::future::ready(Ok(tonic::Response::new(stream)))
    }
}

/// A client of a service that answers each call with `launches`.
async fn launching(launches: fn() -> Launches) -> (TestService, Service) {
    let test = TestService::new();
    test.serve(move |stream| async move {
        let answer = hyper::service::service_fn(move |request| async move {
            let codec = tonic_prost::ProstCodec::<rpc::LaunchReply, rpc::LaunchRequest>::default();
            let response = tonic::server::Grpc::new(codec).streaming(launches(), request).await;
            Ok::<_, std::convert::Infallible>(response)
        });
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    })
    .await;
    let service = test.connect().await.expect("connected");
    (test, service)
}

#[test]
fn progress_comes_as_it_is_and_details_come_with_the_refusal() {
    run(async {
        let (_test, service) = launching(|| Launches {
            replies: vec![
                rpc::LaunchReply { reply_message: "one".into(), ..Default::default() },
                rpc::LaunchReply { zone: "two".into(), ..Default::default() },
            ],
            end: Some(Status::with_details(tonic::Code::InvalidArgument, "no", vec![10, 1, 3].into())),
        })
        .await;
        let mut rpc = service.rpc_for("launch");
        let mut progress = Progress::new("x");
        let mut seen = Vec::new();
        let answer = rpc.launch(once(rpc::LaunchRequest::default()));
        let error = service
            .read_replies_with_progress(&mut progress, answer, |reply: rpc::LaunchReply, _| {
                seen.push(reply.reply_message.clone() + &reply.zone);
                Ok(())
            })
            .await
            .expect_err("refused");
        assert_eq!(seen, ["one", "two"]);
        let Error::Refused(status) = error else { panic!("{error:?}") };
        assert_eq!(status.details(), [10, 1, 3]);
    });
}

#[test]
fn an_answer_without_end_is_given_up() {
    run(async {
        let (_test, service) = launching(|| Launches {
            replies: vec![rpc::LaunchReply { zone: "x".repeat(4_000_000), ..Default::default() }; 17],
            end: None,
        })
        .await;
        let mut parts = 0;
        let answer = service.rpc_for("launch").launch(once(rpc::LaunchRequest::default())).await;
        let error =
            service.read_replies(answer, |_: rpc::LaunchReply| parts += 1).await.expect_err("too long");
        assert!(matches!(error, Error::InvalidReply(why) if why.contains("longer")), "{error:?}");
        assert_eq!(parts, MAX_ANSWER_SIZE / 4_000_000);
    });
}

#[test]
fn what_the_client_refuses_ends_the_call_that_would_not_end() {
    run(async {
        let (_test, service) = launching(|| Launches {
            replies: vec![rpc::LaunchReply { password_requested: true, ..Default::default() }],
            end: None,
        })
        .await;
        let mut rpc = service.rpc_for("launch");
        let mut progress = Progress::new("x");
        let answer = rpc.launch(once(rpc::LaunchRequest::default()));
        let refuse = |reply: rpc::LaunchReply, _: &mut Progress| match reply.password_requested {
            true => Err(Error::InvalidReply("asked")),
            false => Ok(()),
        };
        let error =
            service.read_replies_with_progress(&mut progress, answer, refuse).await.expect_err("refused");
        assert!(matches!(error, Error::InvalidReply("asked")), "{error:?}");
    });
}
