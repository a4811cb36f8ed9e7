//! A call, from its headers to its handler: the table of methods says what it needs, the authority whether its caller is
//! that.

use std::sync::Arc;
use std::time::SystemTime;

use auth_core::{Actor, Administrator, Admission, Authenticated, Caller, Denied, Level};
use http::Request;
use hyper::body::Incoming;
use tonic::Status;

use super::grpc::Response;
use super::methods;
use super::request_body::RequestBody;
use super::route::Route;
use super::{PeerSession, Service, status};
use crate::audit::Refusals;

impl Service {
    /// Answers one call.
    pub(crate) async fn answer(
        self: Arc<Self>,
        session: Arc<PeerSession>,
        request: Request<Incoming>,
    ) -> Response {
        self.dispatch(session, request).await.unwrap_or_else(Status::into_http)
    }

    async fn dispatch(
        self: Arc<Self>,
        session: Arc<PeerSession>,
        request: Request<Incoming>,
    ) -> Result<Response, Status> {
        let Some((name, route)) = methods::find(request.uri().path()) else {
            return Err(Status::unimplemented("The service has no such method."));
        };
        tracing::debug!("{name} from {}", session.caller().channel);
        if let Some(exceeded) = session.rejected() {
            return Err(status::beyond_quota(exceeded));
        }
        let _permit = session.begin_call()?;
        match route {
            Route::Open(handler) => {
                let request = self.counted(&session, request)?;
                Ok(handler(self, session, request).await)
            }
            Route::Administrator(handler) => {
                let by = self.admit_administrator(name, &session)?;
                let request = self.counted(&session, request)?;
                Ok(handler(self, by, request).await)
            }
            Route::AnyLevel(handler) => {
                let by = self.authority.recognise(session.caller());
                let by = by.map_err(|denied| refuse(&self.refusals, name, session.caller(), &denied))?;
                session.admit_client(&by);
                let request = self.counted(&session, request)?;
                Ok(handler(self, by, request).await)
            }
            Route::Client(level, handler) => {
                let by = self.admit_client(name, &session, *level).await?;
                let request = self.counted(&session, request)?;
                Ok(handler(self, by, request).await)
            }
            Route::NotImplemented(level) => {
                self.admit_client(name, &session, *level).await?;
                self.counted(&session, request)?;
                Err(status::not_implemented(name))
            }
        }
    }

    /// The request, whose bytes are reserved from its peer's quota from now on.
    fn counted(
        &self,
        session: &PeerSession,
        request: Request<Incoming>,
    ) -> Result<Request<RequestBody>, Status> {
        RequestBody::new(request, session.principal(), &self.requests)
    }

    /// Admits the caller as one who may say who is trusted.
    fn admit_administrator(
        &self,
        method: &'static str,
        session: &PeerSession,
    ) -> Result<Administrator, Status> {
        let by = self.authority.administrator(session.caller());
        let by = by.map_err(|denied| refuse(&self.refusals, method, session.caller(), &denied))?;
        if by.actor() == Actor::Administrator {
            session.admit();
        } else if let Ok(client) = self.authority.recognise(session.caller()) {
            session.admit_client(&client);
        }
        Ok(by)
    }

    /// Admits the caller as a trusted client of that level, which it may become by being the first one.
    async fn admit_client(
        &self,
        method: &'static str,
        session: &PeerSession,
        level: Level,
    ) -> Result<Authenticated, Status> {
        let by = self.admit(method, session.caller()).await?;
        session.admit_client(&by);
        match by.require(level) {
            Ok(()) => Ok(by),
            Err(denied) => Err(refuse(&self.refusals, method, session.caller(), &denied)),
        }
    }

    async fn admit(&self, method: &'static str, caller: &Caller) -> Result<Authenticated, Status> {
        match self.authority.admit(caller) {
            Ok(Admission::Granted(authenticated)) => Ok(authenticated),
            Ok(Admission::FirstClient(claim)) => {
                let (refusals, caller) = (self.refusals.clone(), caller.clone());
                self.blocking(move |authority| {
                    // Logged where it is done: the caller may leave before that, and does not take it back.
                    let first = authority
                        .enrol_first(&claim, SystemTime::now())
                        .map_err(|denied| refuse(&refusals, method, &caller, &denied))?;
                    tracing::info!("enrolled {} from {} as the first client", first.client(), caller.channel);
                    Ok(first)
                })
                .await?
            }
            Err(denied) => Err(refuse(&self.refusals, method, caller, &denied)),
        }
    }
}

fn refuse(refusals: &Refusals, method: &'static str, caller: &Caller, denied: &Denied) -> Status {
    refusals.record(method, caller, denied);
    status::not_admitted(denied)
}
