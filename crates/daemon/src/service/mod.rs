//! The service: each call is admitted from its headers, before a byte of its body is read, and then
//! handed to its handler.

mod about;
mod authenticate;
mod instances;
mod methods;
mod reply;
mod settings;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use auth_core::{
    Admission, Authenticated, Authority, Caller, CertificateError, Channel, ClientCertificate, Denied,
};
use http::Request;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tonic::Status;
use transport::{Origin, Peer};

use methods::Route;
use reply::Response;

/// Passphrases hashed at once: each takes 19 MiB and one core.
const HASHES_AT_ONCE: usize = 2;

/// What all connections share.
#[derive(Debug)]
pub struct Service {
    authority: Arc<Authority>,
    /// The data directory; its file system is the one that instances would fill.
    data: PathBuf,
    hashing: Arc<Semaphore>,
}

impl Service {
    /// A service that asks `authority` about every call.
    #[must_use]
    pub fn new(authority: Authority, data: PathBuf) -> Self {
        Self { authority: Arc::new(authority), data, hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }

    /// Answers one call.
    pub(crate) async fn answer(self: Arc<Self>, caller: Arc<Caller>, request: Request<Incoming>) -> Response {
        let Some((name, route)) = methods::find(request.uri().path()) else {
            return Status::unimplemented("The service has no such method.").into_http();
        };
        tracing::debug!("{name} from {}", caller.channel);
        let admitted = match route {
            Route::Open(handler) => return handler(self, caller, request).await,
            Route::Client(_) | Route::NotYet => self.admit(name, caller).await,
        };
        match (admitted, route) {
            (Err(status), _) => status.into_http(),
            (Ok(by), Route::Client(handler)) => handler(self, by, request).await,
            (Ok(_), _) => status::not_yet(name).into_http(),
        }
    }

    async fn admit(&self, method: &'static str, caller: Arc<Caller>) -> Result<Authenticated, Status> {
        let denied = match self.authority.admit(&caller) {
            Ok(Admission::Granted(authenticated)) => return Ok(authenticated),
            Ok(Admission::FirstClient(claim)) => {
                match self.blocking(move |authority| authority.enrol_first(&claim, SystemTime::now())).await?
                {
                    Ok(first) => {
                        tracing::info!(
                            "enrolled {} from {} as the first client",
                            first.client(),
                            caller.channel
                        );
                        return Ok(first);
                    }
                    Err(denied) => denied,
                }
            }
            Err(denied) => denied,
        };
        match &denied {
            Denied::Store(_) | Denied::Gate(_) => {
                tracing::error!("{method} from {}: {denied}", caller.channel);
            }
            _ => tracing::info!("refused {method} from {}: {denied}", caller.channel),
        }
        Err(status::not_admitted(&denied))
    }

    /// Runs what reads, writes or hashes off the threads that serve connections. It goes on to its end
    /// even if the caller leaves.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let authority = Arc::clone(&self.authority);
        tokio::task::spawn_blocking(move || work(&authority)).await.map_err(|_| status::internal())
    }

    /// As [`Self::blocking`], for what hashes a passphrase; waits until few others do.
    async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let permit = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| status::internal())?;
        self.blocking(move |authority| {
            // The work, not the wait for it, holds the permit: a caller who leaves frees nothing early.
            let _permit = permit;
            work(authority)
        })
        .await
    }
}

/// What the authority is told of a peer.
pub(crate) fn caller_of(peer: &Peer) -> Result<Caller, CertificateError> {
    let channel = match &peer.origin {
        Origin::Local(os) => Channel::Local { uid: os.uid, gid: os.gid, groups: os.groups.clone() },
        Origin::Remote(address) => Channel::Remote(address.ip()),
        // A kind of origin that this daemon does not know is a stranger's.
        _ => Channel::Remote(std::net::IpAddr::from([0, 0, 0, 0])),
    };
    let certificate = match &peer.certificate {
        Some(proven) => Some(ClientCertificate::from_der(proven.der().to_vec())?),
        None => None,
    };
    Ok(Caller { channel, certificate })
}
