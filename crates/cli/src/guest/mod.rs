//! SSH to an instance: through the service, which carries what is said without a part in it; or, with a stock
//! service, which cannot do that, to where it says that the instance answers.
//!
//! It is given a connection to the service, and knows no commands.

mod attach;
mod tunnel;

use std::future::Future;
use std::time::Duration;

use rpc::instances::Access;
use rpc::{SshInfo, SshInfoRequest};
use ssh::{ClientKey, HostKey, KeyPair, Session, SessionError};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use zeroize::Zeroizing;

use crate::connection::{Service, once};
use crate::error::Error;
pub(crate) use attach::attach;
use tunnel::Tunnel;

/// How long a guest may take until it has let us in. Under emulation it is slow.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A guest that has proven itself and has let us in.
pub(crate) struct Guest {
    /// What is done in it.
    pub(crate) session: Session,
    /// None where a stock service told the way.
    tunnel: Option<Tunnel>,
    instance: String,
}

impl Guest {
    /// Connects to an instance's guest.
    ///
    /// # Errors
    /// The service refused, or there is no session with the guest.
    pub(crate) async fn connect(service: &Service, instance: &str) -> Result<Self, Error> {
        let (tunnel, stream, access) = match Tunnel::open(service, instance).await {
            Err(Error::Refused(status)) if status.code() == Code::Unimplemented => {
                return Self::connect_without_tunnel(service, instance).await;
            }
            opened => opened?,
        };
        match within_timeout(instance, log_in(stream, access)).await? {
            Ok(session) => Ok(Self { session, tunnel: Some(tunnel), instance: instance.to_owned() }),
            Err(error) => Err(explained(Some(tunnel), instance, error).await),
        }
    }

    /// As a stock client: to the address that the service tells. Such services tell no host key.
    async fn connect_without_tunnel(service: &Service, instance: &str) -> Result<Self, Error> {
        if !service.endpoint.is_on_this_machine() {
            return Err(Error::Unsupported {
                message: "the service at this address does not support connections to instances".to_owned(),
                next: Some("Run the command on the service's own machine.".to_owned()),
            });
        }
        let request = SshInfoRequest {
            instance_name: vec![instance.to_owned()],
            verbosity_level: service.verbosity_level(),
        };
        let mut found = None;
        let answer = service.rpc_for("ssh_info").ssh_info(once(request)).await;
        service
            .read_replies(answer, |reply: rpc::SshInfoReply| {
                found = reply.ssh_info.into_iter().find(|(name, _)| name == instance).or(found.take());
            })
            .await?;
        let (_, info) =
            found.ok_or(Error::InvalidReply("the service did not report where the instance answers"))?;
        let session = within_timeout(instance, log_in_at(instance, info)).await??;
        Ok(Self { session, tunnel: None, instance: instance.to_owned() })
    }

    /// Why the session has failed: what the service says of it, else what the session says.
    pub(crate) async fn explain(self, error: SessionError) -> Error {
        let Self { session, tunnel, instance } = self;
        drop(session);
        explained(tunnel, &instance, error).await
    }
}

async fn explained(tunnel: Option<Tunnel>, instance: &str, source: SessionError) -> Error {
    if let Some(tunnel) = tunnel
        && let Some(fault) = tunnel.fault().await
    {
        return fault;
    }
    Error::Guest { instance: instance.to_owned(), source }
}

async fn within_timeout<T>(instance: &str, login: impl Future<Output = T>) -> Result<T, Error> {
    timeout(LOGIN_TIMEOUT, login).await.map_err(|_| {
        Error::failed(
            format!("instance \"{instance}\" did not answer within {} s", LOGIN_TIMEOUT.as_secs()),
            format!("`multipass restart {instance}` may help."),
        )
    })
}

async fn log_in(stream: DuplexStream, mut access: Access) -> Result<Session, SessionError> {
    let host: HostKey = access.host_key.parse()?;
    let key = KeyPair::from_openssh(&access.take_private_key())?;
    Session::open(stream, &host, &access.user_name, &key).await
}

/// As the service says that it is to be done; it tells no host key.
async fn log_in_at(instance: &str, info: SshInfo) -> Result<Session, Error> {
    let SshInfo { host, port, username, priv_key_base64 } = info;
    let key = Zeroizing::new(priv_key_base64);
    let fails = |source| Error::Guest { instance: instance.to_owned(), source };
    let key = ClientKey::from_text(&key).map_err(|error| fails(error.into()))?;
    let port =
        u16::try_from(port).map_err(|_| Error::InvalidReply("the service reported an invalid port"))?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| {
        Error::failed(
            format!("instance \"{instance}\" cannot be reached at {host}, port {port}: {error}"),
            format!("`multipass restart {instance}` may help."),
        )
    })?;
    // What is typed is not to wait for more.
    let _ = stream.set_nodelay(true);
    Session::open_unverified(stream, &username, &key).await.map_err(fails)
}

#[cfg(all(unix, feature = "unix"))]
#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpListener;
    use tonic::{Status, Streaming};
    use transport::Stream;
    use transport::testkit::run;

    use super::*;
    use crate::connection::testkit::TestService;

    /// Answers `ssh_info` alone, as a stock service does beside what it has no tunnel for.
    #[derive(Clone)]
    struct Stock(SshInfo);

    impl tonic::server::StreamingService<SshInfoRequest> for Stock {
        type Response = rpc::SshInfoReply;
        type ResponseStream = tokio_stream::Once<Result<rpc::SshInfoReply, Status>>;
        type Future =
            Pin<Box<dyn Future<Output = Result<tonic::Response<Self::ResponseStream>, Status>> + Send>>;

        fn call(&mut self, request: tonic::Request<Streaming<SshInfoRequest>>) -> Self::Future {
            let info = self.0.clone();
            Box::pin(async move {
                let asked = request.into_inner().message().await?.expect("a request").instance_name;
                let ssh_info = asked.into_iter().map(|name| (name, info.clone())).collect();
                let reply = rpc::SshInfoReply { ssh_info, ..Default::default() };
                Ok(tonic::Response::new(once(Ok(reply))))
            })
        }
    }

    async fn serve(stream: Stream, stock: Stock) {
        let answer = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let stock = stock.clone();
            async move {
                if request.uri().path() != "/multipass.Rpc/ssh_info" {
                    return Ok::<_, std::convert::Infallible>(Status::unimplemented("").into_http());
                }
                let codec = tonic_prost::ProstCodec::<rpc::SshInfoReply, SshInfoRequest>::default();
                Ok(tonic::server::Grpc::new(codec).streaming(stock, request).await)
            }
        });
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    #[test]
    fn a_stock_service_tells_the_way() {
        run(async {
            let (host, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let port = listener.local_addr().expect("an address").port();
            let answers = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.expect("a client");
                let guest = test_servers::Guest { says: "", times: 0, code: 7 };
                guest.serve(&host.to_openssh().expect("text"), stream)
            });
            let info = SshInfo {
                port: port.into(),
                host: "127.0.0.1".to_owned(),
                username: "ubuntu".to_owned(),
                priv_key_base64: key.to_openssh().expect("text").to_string(),
            };
            let test = TestService::new();
            test.serve(move |stream| serve(stream, Stock(info))).await;
            let service = test.connect().await.expect("connected");
            let guest = Guest::connect(&service, "web").await.expect("a guest");
            let finished = guest.session.run("anything", 1).await.expect("run");
            assert_eq!(finished.code, Some(7));
            let heard = answers.await.expect("served").all();
            assert_eq!(heard, [format!("login ubuntu {}", key.public()), "anything".to_owned()]);
        });
    }

    #[test]
    fn a_stock_service_that_tells_nonsense_is_told_of() {
        run(async {
            let key = KeyPair::generate().expect("a key").to_openssh().expect("text").to_string();
            for (port, priv_key_base64, message) in [
                (70_000, key.clone(), "the service reported an invalid port"),
                (22, "no key".to_owned(), "a key that belongs to the guest cannot be used"),
            ] {
                let info = SshInfo { port, priv_key_base64, ..Default::default() };
                let test = TestService::new();
                test.serve(move |stream| serve(stream, Stock(info))).await;
                let service = test.connect().await.expect("connected");
                let Err(error) = Guest::connect(&service, "web").await else { panic!("connected") };
                assert!(error.message().contains(message), "{}", error.message());
            }
        });
    }
}
