//! One connection to the service, and calls over it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::instances::instances_client::InstancesClient;
use rpc::rpc_client::RpcClient;
use rpc::trust::trust_client::TrustClient;
use tonic::body::Body;
use tonic::{Status, Streaming};
use transport::tls::{ClientTls, Identity};
use transport::{Connection, Endpoint, Transport};

use crate::connection::{Context, NamedRoot, ServerTrust, Unknown, dial, transports};
use crate::credentials::IdentityStore;
use crate::error::Error;
use crate::platform;
use crate::terminal::{Progress, output};

/// The longest answer of the trust service, in bytes. Its list takes about 200 bytes a client.
pub(crate) const LONGEST_LIST: usize = 64 * 1024 * 1024;
/// The longest answer of a call, in bytes: all of its parts together. A hundred thousand instances take less.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// The authority that every client states, whatever the address: the name in the server's certificate.
const ORIGIN: &str = "https://localhost";

/// A connection to the service. Dropping it cuts the connection; the service is told of it on the context's
/// [`Context::leave`].
pub(crate) struct Service {
    /// The calls.
    pub(crate) rpc: RpcClient<Channel>,
    /// The calls of our own services, which stock services do not have.
    pub(crate) instances: InstancesClient<Channel>,
    pub(crate) trust: TrustClient<Channel>,
    /// The certificate that was presented, in DER.
    pub(crate) certificate: Option<Vec<u8>>,
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    context: Context,
    connection: Option<Box<dyn Connection>>,
}

impl Service {
    /// Connects as the current user, who gets an identity if there is none yet.
    ///
    /// # Errors
    /// There is no trust in the service, no identity, or no service.
    pub(crate) async fn connect(context: &Context) -> Result<Self, Error> {
        let target = Target::find(context, Unknown::Ask).await?;
        let store = IdentityStore::of_user()?;
        context.note(|| format!("using the client certificate in {}", store.directory().display()));
        target.connect(context, Some(store.load_or_create()?)).await
    }

    /// Connects to say who is trusted. Root may do so without an identity, and gets none for it: neither in
    /// another user's home, where `sudo` may point, nor where the disk is full.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn connect_as_administrator(context: &Context) -> Result<Self, Error> {
        if !platform::is_root() || !is_known_by_its_user(&context.endpoint()?) {
            return Self::connect(context).await;
        }
        let store = IdentityStore::of_user().ok().filter(IdentityStore::is_own);
        let identity = store.and_then(|store| match store.existing() {
            Ok(identity) => identity,
            Err(fault) => {
                context.note(|| format!("going without a client certificate: {fault}"));
                None
            }
        });
        Target::find(context, Unknown::Ask).await?.connect(context, identity).await
    }

    /// Connects to a service that is known by `trust`, as `identity` or as nobody. Nothing is remembered of it.
    ///
    /// # Errors
    /// There is no service, or another one.
    pub(crate) async fn look_at(
        context: &Context,
        endpoint: &Endpoint,
        transport: &dyn Transport,
        trust: &ServerTrust,
        identity: Option<Identity>,
    ) -> Result<Self, Error> {
        let certificate = identity.as_ref().map(|identity| identity.certificate().to_vec());
        let tls = ClientTls::new(trust.pin.clone(), trust.dates, identity)
            .map_err(|source| Error::Tls(source.into()))?;
        let fault = |error| trust.explain(error, endpoint);
        let connecting = async {
            let mut connection = transport.dial(endpoint, tls).await.map_err(fault)?;
            let stream = connection.open_stream().await.map_err(fault)?;
            let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|source| Error::Protocol { endpoint: endpoint.clone(), source })?;
            // Its failure reaches the calls that it fails.
            tokio::spawn(driver);
            let (channel, origin) = (Channel(sender), Uri::from_static(ORIGIN));
            Ok(Self {
                rpc: RpcClient::with_origin(channel.clone(), origin.clone()),
                instances: InstancesClient::with_origin(channel.clone(), origin.clone()),
                trust: TrustClient::with_origin(channel, origin).max_decoding_message_size(LONGEST_LIST),
                certificate,
                endpoint: endpoint.clone(),
                context: context.clone(),
                connection: Some(connection),
            })
        };
        dial::within_timeout(endpoint, connecting).await
    }

    /// Connects as `identity`, asking the user nothing.
    ///
    /// # Errors
    /// There is no trust in the service, or no service.
    pub(crate) async fn connect_as(context: &Context, identity: Identity) -> Result<Self, Error> {
        Target::find(context, Unknown::Refuse).await?.connect(context, Some(identity)).await
    }

    /// Has a service on another machine prove itself, before the user is asked for a secret that is meant for it. A
    /// remote with a loopback address may be a tunnel to one.
    ///
    /// # Errors
    /// There is no trust in the service, or no service.
    pub(crate) async fn verify(context: &Context) -> Result<(), Error> {
        let is_a_remote_s = matches!(context.named_root()?, NamedRoot::OfRemote { .. });
        if context.endpoint()?.is_on_this_machine() && !is_a_remote_s {
            return Ok(());
        }
        Target::find(context, Unknown::Ask).await?.connect(context, None).await.map(drop)
    }

    /// The verbosity that requests carry.
    pub(crate) fn verbosity_level(&self) -> i32 {
        self.context.verbosity_level()
    }

    /// What makes a call beside whose answer the service is used; tells that it is made, if such was asked for.
    pub(crate) fn calls(&self, method: &str) -> RpcClient<Channel> {
        self.note_call(method);
        Clone::clone(&self.rpc)
    }

    /// Tells that a call is made, if such was asked for.
    pub(crate) fn note_call(&self, method: &str) {
        self.context.note(|| format!("calling {method}"));
    }

    /// Reads the answer of a call to its end, shows what it has for the user, and hands each part to `take`.
    ///
    /// # Errors
    /// The service refused, the connection was lost, or there was no end to the answer.
    pub(crate) async fn answer<R: Reply>(
        &self,
        answer: Result<tonic::Response<Streaming<R>>, Status>,
        mut take: impl FnMut(R),
    ) -> Result<(), Error> {
        let mut replies = answer.map_err(Error::of_call)?.into_inner();
        let mut length = 0_usize;
        while let Some(reply) = replies.message().await.map_err(Error::of_call)? {
            // What is taken is kept, and a service may be anybody's.
            length = length.saturating_add(reply.encoded_len());
            if length > LONGEST_ANSWER {
                return Err(Error::Answer("the service's answer is longer than this client reads"));
            }
            for text in [reply.log_line(), reply.reply_message()] {
                if !text.is_empty() {
                    output::tell(text);
                }
            }
            take(reply);
        }
        Ok(())
    }

    /// As [`Self::answer`], for a call that may take long: shows `progress` until the answer has ended. What
    /// `take` refuses ends the call.
    ///
    /// # Errors
    /// As [`Self::answer`], and those of `take`.
    pub(crate) async fn answer_with_progress<R: Reply>(
        &self,
        progress: &mut Progress,
        answer: impl Future<Output = Result<tonic::Response<Streaming<R>>, Status>>,
        mut take: impl FnMut(R, &mut Progress) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut replies = progress.during(answer).await.map_err(Error::of_call)?.into_inner();
        while let Some(reply) = progress.during(replies.message()).await.map_err(Error::of_call)? {
            if !reply.log_line().is_empty() {
                progress.tell(reply.log_line());
            }
            if !reply.reply_message().is_empty() {
                progress.step(reply.reply_message(), None);
            }
            take(reply, progress)?;
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.context.leaves(connection.close());
        }
    }
}

/// One request and no more: the stream that a call without questions sends.
pub(crate) fn once<T>(request: T) -> tokio_stream::Once<T> {
    tokio_stream::once(request)
}

/// What the answers of all calls have in common.
pub(crate) trait Reply: prost::Message {
    /// A line of the service's log, for standard error.
    fn log_line(&self) -> &str;
    /// Progress.
    fn reply_message(&self) -> &str {
        ""
    }
}

macro_rules! replies {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn log_line(&self) -> &str {
                &self.log_line
            }
        })*
    };
}

replies!(
    rpc::AuthenticateReply,
    rpc::DeleteReply,
    rpc::FindReply,
    rpc::GetReply,
    rpc::InfoReply,
    rpc::KeysReply,
    rpc::ListReply,
    rpc::NetworksReply,
    rpc::PurgeReply,
    rpc::RecoverReply,
    rpc::SshInfoReply,
    rpc::StopReply,
    rpc::SuspendReply,
    rpc::VersionReply,
    rpc::WaitReadyReply
);

macro_rules! replies_with_messages {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn log_line(&self) -> &str {
                &self.log_line
            }

            fn reply_message(&self) -> &str {
                &self.reply_message
            }
        })*
    };
}

replies_with_messages!(rpc::LaunchReply, rpc::RestartReply, rpc::SetReply, rpc::StartReply);

/// A service to connect to: how to reach it, and what it has to prove itself with.
struct Target {
    endpoint: Endpoint,
    transport: Box<dyn Transport>,
    trust: ServerTrust,
}

impl Target {
    async fn find(context: &Context, unknown: Unknown) -> Result<Self, Error> {
        let endpoint = context.endpoint()?;
        let transport = transports::reaching(&endpoint)?;
        let trust = ServerTrust::find(context, &endpoint, &*transport, unknown).await?;
        Ok(Self { endpoint, transport, trust })
    }

    async fn connect(self, context: &Context, identity: Option<Identity>) -> Result<Service, Error> {
        let Self { endpoint, transport, trust } = self;
        context.note(|| format!("connecting to {endpoint}"));
        let service = Service::look_at(context, &endpoint, &*transport, &trust, identity).await?;
        trust.is_proven_at(&endpoint);
        Ok(service)
    }
}

/// Whether the service at this address learns from the system who connects: then root needs no certificate.
pub(crate) fn is_known_by_its_user(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unix(_))
}

/// hyper's HTTP/2 sender as the service that the generated client wants.
#[derive(Clone)]
pub(crate) struct Channel(SendRequest<Body>);

impl tower_service::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        // HTTP/2 takes any number of calls. That the connection has gone, the call itself tells: as a fault of
        // the connection, where the generated client makes a refusal of what is said here.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

#[cfg(all(unix, feature = "unix"))]
#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use transport::Stream;
    use transport::testkit::certificates::{TestIdentity, TestServer};
    use transport::testkit::run;
    use transport::tls::ServerTls;
    use transport_unix::UnixTransport;

    use super::*;

    /// A place for a socket and a root certificate.
    pub(crate) struct Place {
        directory: TempDir,
        server: TestServer,
    }

    impl Place {
        pub(crate) fn new() -> Self {
            let place =
                Self { directory: tempfile::tempdir().expect("a directory"), server: TestServer::generate() };
            place.publish(&place.server.root_pem());
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn publish(&self, root: &str) {
            fs::write(self.path("root.pem"), root).expect("written");
        }

        fn address(&self) -> String {
            format!("unix:{}", self.path("socket").display())
        }

        fn context(&self) -> Context {
            Context::at(&self.address(), self.path("root.pem"))
        }

        pub(crate) async fn connect(&self) -> Result<Service, Error> {
            Service::connect_as(&self.context(), TestIdentity::client().identity()).await
        }

        async fn refusal(&self) -> Error {
            match self.connect().await {
                Ok(_) => panic!("connected"),
                Err(error) => error,
            }
        }

        /// A service that completes one handshake and then does `answer`.
        pub(crate) async fn serve<F: Future<Output = ()> + Send>(
            &self,
            answer: impl FnOnce(Stream) -> F + Send + 'static,
        ) {
            self.serve_as(self.server.tls(), answer).await;
        }

        async fn serve_as<F: Future<Output = ()> + Send>(
            &self,
            tls: ServerTls,
            answer: impl FnOnce(Stream) -> F + Send + 'static,
        ) {
            let endpoint = self.context().endpoint().expect("an address");
            let mut listener = UnixTransport::default().listen(&endpoint, tls).await.expect("listening");
            tokio::spawn(async move {
                let incoming = listener.accept().await.expect("a client");
                if let Ok(mut connection) = incoming.handshake().await {
                    answer(connection.next_stream().await.expect("a stream")).await;
                }
            });
        }
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        run(async {
            let place = Place::new();
            assert!(matches!(place.refusal().await, Error::NoService { .. }));

            fs::remove_file(place.path("root.pem")).expect("removed");
            assert!(matches!(place.refusal().await, Error::NoService { .. }), "neither socket nor root");

            let _socket = UnixListener::bind(place.path("socket")).expect("bound");
            let error = place.refusal().await;
            assert!(error.message().contains("root.pem"), "{}", error.message());
            assert!(matches!(error, Error::RootCertificateMissing { .. }));

            place.publish("not a certificate");
            assert!(matches!(place.refusal().await, Error::RootCertificateInvalid { .. }));
        });
    }

    #[test]
    fn a_service_under_another_root_is_not_trusted() {
        run(async {
            let place = Place::new();
            place.serve(|_| async {}).await;
            place.publish(&TestServer::generate().root_pem());
            let error = place.refusal().await;
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
                let place = Place::new();
                let own = place.server.root().fingerprint();
                let alone = ServerTls::new(place.server.identity().identity()).expect("TLS");
                let presents = if presents_root { place.server.tls() } else { alone };
                place.serve_as(presents, |_| async {}).await;
                let pinned = if is_pinned { own } else { another };
                let context = Context::pinned_at(&place.address(), pinned);
                let connected = Service::connect_as(&context, TestIdentity::client().identity()).await;
                match (connected, refusal) {
                    (Ok(_), None) => {}
                    (Err(error @ Error::ServerTrust(_)), Some((message, next))) => {
                        assert!(error.message().contains(message), "{}", error.message());
                        for fingerprint in [own, another].map(|fingerprint| fingerprint.to_string()) {
                            assert_eq!(
                                error.message().contains(&fingerprint),
                                !is_pinned,
                                "{}",
                                error.message()
                            );
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
            let place = Place::new();
            let listener = UnixListener::bind(place.path("socket")).expect("bound");
            tokio::spawn(async move {
                let (mut client, _) = listener.accept().await.expect("a client");
                client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
            });
            assert!(matches!(place.refusal().await, Error::Connect { .. }));
        });
    }

    #[test]
    fn a_service_that_leaves_in_the_middle_of_a_call_is_lost_and_has_not_refused() {
        run(async {
            let place = Place::new();
            place.serve(|mut stream| async move { drop(stream.read(&mut [0; 64]).await) }).await;
            let mut service = place.connect().await.expect("connected");
            let answer = service.rpc.list(once(rpc::ListRequest::default())).await;
            let error = service.answer(answer, drop).await.expect_err("no answer");
            assert!(matches!(error, Error::Lost(_)), "{error:?}");
            assert!(
                error.message().starts_with("the connection to the service was lost"),
                "{}",
                error.message()
            );
        });
    }

    /// Answers `launch` with `replies` and then `end`, or never ends.
    struct Launches {
        replies: Vec<rpc::LaunchReply>,
        end: Option<Status>,
    }

    impl tonic::server::StreamingService<rpc::LaunchRequest> for Launches {
        type Response = rpc::LaunchReply;
        type ResponseStream =
            Pin<Box<dyn tokio_stream::Stream<Item = Result<rpc::LaunchReply, Status>> + Send>>;
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
    async fn launching(launches: fn() -> Launches) -> (Place, Service) {
        let place = Place::new();
        place
            .serve(move |stream| async move {
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
        let service = place.connect().await.expect("connected");
        (place, service)
    }

    #[test]
    fn progress_comes_as_it_is_and_details_come_with_the_refusal() {
        run(async {
            let (_place, service) = launching(|| Launches {
                replies: vec![
                    rpc::LaunchReply { reply_message: "one".into(), ..Default::default() },
                    rpc::LaunchReply { zone: "two".into(), ..Default::default() },
                ],
                end: Some(Status::with_details(tonic::Code::InvalidArgument, "no", vec![10, 1, 3].into())),
            })
            .await;
            let mut rpc = service.calls("launch");
            let mut progress = Progress::new("x");
            let mut seen = Vec::new();
            let answer = rpc.launch(once(rpc::LaunchRequest::default()));
            let error = service
                .answer_with_progress(&mut progress, answer, |reply: rpc::LaunchReply, _| {
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
            let (_place, service) = launching(|| Launches {
                replies: vec![rpc::LaunchReply { zone: "x".repeat(4_000_000), ..Default::default() }; 17],
                end: None,
            })
            .await;
            let mut parts = 0;
            let answer = service.calls("launch").launch(once(rpc::LaunchRequest::default())).await;
            let error = service.answer(answer, |_: rpc::LaunchReply| parts += 1).await.expect_err("too long");
            assert!(matches!(error, Error::Answer(why) if why.contains("longer")), "{error:?}");
            assert_eq!(parts, LONGEST_ANSWER / 4_000_000);
        });
    }

    #[test]
    fn what_the_client_refuses_ends_the_call_that_would_not_end() {
        run(async {
            let (_place, service) = launching(|| Launches {
                replies: vec![rpc::LaunchReply { password_requested: true, ..Default::default() }],
                end: None,
            })
            .await;
            let mut rpc = service.calls("launch");
            let mut progress = Progress::new("x");
            let answer = rpc.launch(once(rpc::LaunchRequest::default()));
            let refuse = |reply: rpc::LaunchReply, _: &mut Progress| match reply.password_requested {
                true => Err(Error::Answer("asked")),
                false => Ok(()),
            };
            let error =
                service.answer_with_progress(&mut progress, answer, refuse).await.expect_err("refused");
            assert!(matches!(error, Error::Answer("asked")), "{error:?}");
        });
    }
}
