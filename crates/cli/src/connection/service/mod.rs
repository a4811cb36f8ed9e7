//! One connection to the service, and calls over it.

mod channel;
mod reply;

use http::Uri;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::instances::instances_client::InstancesClient;
use rpc::rpc_client::RpcClient;
use rpc::trust::trust_client::TrustClient;
use transport::tls::{ClientTls, Identity};
use transport::{Connection, Endpoint, Transport};

use crate::connection::transports::has_peer_credentials;
use crate::connection::{Context, ExpectedRoot, ServerTrust, UnknownServer, dial, transports};
use crate::credentials::IdentityStore;
use crate::error::Error;
use crate::platform;
pub(crate) use channel::Channel;

/// The longest answer of the trust service, in bytes. Its list takes about 200 bytes a client.
pub(crate) const MAX_LIST_SIZE: usize = 64 * 1024 * 1024;
/// The authority that every client states, whatever the address: the name in the server's certificate.
const ORIGIN: &str = "https://localhost";

/// A connection to the service. Dropping it cuts the connection; the service is told of it on the context's
/// [`Context::all_closed`].
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
        let target = Target::find(context, UnknownServer::Ask).await?;
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
        if !platform::is_root() || !has_peer_credentials(&context.endpoint()?) {
            return Self::connect(context).await;
        }
        let store = IdentityStore::of_user().ok().filter(IdentityStore::is_own);
        let identity = store.and_then(|store| match store.load() {
            Ok(identity) => identity,
            Err(fault) => {
                context.note(|| format!("going without a client certificate: {fault}"));
                None
            }
        });
        Target::find(context, UnknownServer::Ask).await?.connect(context, identity).await
    }

    /// Connects to a service that is known by `trust`, as `identity` or as nobody. Nothing is remembered of it.
    ///
    /// # Errors
    /// There is no service, or another one.
    pub(crate) async fn connect_to(
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
                trust: TrustClient::with_origin(channel, origin).max_decoding_message_size(MAX_LIST_SIZE),
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
        Target::find(context, UnknownServer::Refuse).await?.connect(context, Some(identity)).await
    }

    /// Has a service on another machine prove itself, before the user is asked for a secret that is meant for it. A
    /// remote with a loopback address may be a tunnel to one.
    ///
    /// # Errors
    /// There is no trust in the service, or no service.
    pub(crate) async fn verify(context: &Context) -> Result<(), Error> {
        let is_a_remote_s = matches!(context.expected_root()?, ExpectedRoot::Remote { .. });
        if context.endpoint()?.is_on_this_machine() && !is_a_remote_s {
            return Ok(());
        }
        Target::find(context, UnknownServer::Ask).await?.connect(context, None).await.map(drop)
    }

    /// The verbosity that requests carry.
    pub(crate) fn verbosity_level(&self) -> i32 {
        self.context.verbosity_level()
    }

    /// What makes a call beside whose answer the service is used; tells that it is made, if such was asked for.
    pub(crate) fn rpc_for(&self, method: &str) -> RpcClient<Channel> {
        self.note_call(method);
        Clone::clone(&self.rpc)
    }

    /// Tells that a call is made, if such was asked for.
    pub(crate) fn note_call(&self, method: &str) {
        self.context.note(|| format!("calling {method}"));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.context.close_in_background(connection.close());
        }
    }
}

/// One request and no more: the stream that a call without questions sends.
pub(crate) fn once<T>(request: T) -> tokio_stream::Once<T> {
    tokio_stream::once(request)
}

/// A service to connect to: how to reach it, and what it has to prove itself with.
struct Target {
    endpoint: Endpoint,
    transport: Box<dyn Transport>,
    trust: ServerTrust,
}

impl Target {
    async fn find(context: &Context, unknown: UnknownServer) -> Result<Self, Error> {
        let endpoint = context.endpoint()?;
        let transport = transports::for_endpoint(&endpoint)?;
        let trust = ServerTrust::find(context, &endpoint, &*transport, unknown).await?;
        Ok(Self { endpoint, transport, trust })
    }

    async fn connect(self, context: &Context, identity: Option<Identity>) -> Result<Service, Error> {
        let Self { endpoint, transport, trust } = self;
        context.note(|| format!("connecting to {endpoint}"));
        let service = Service::connect_to(context, &endpoint, &*transport, &trust, identity).await?;
        trust.remember_named(&endpoint);
        Ok(service)
    }
}

#[cfg(all(unix, feature = "unix"))]
#[cfg(test)]
mod tests;
