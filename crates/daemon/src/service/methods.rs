//! The method table: which methods there are, who may call each, and who answers it. What is not in the
//! table is refused.

use std::sync::Arc;
use std::time::Duration;

use auth_core::{Administrator, Authenticated};
use http::Request;
use hyper::body::Incoming;

use super::reply::{Bounds, BoxFuture, Response, reply, stream};
use super::{Service, Visit, about, authenticate, instances, settings, trust};

/// Of a trusted client. The size is gRPC's usual limit.
const REQUEST: Bounds = Bounds { largest: 4 * 1024 * 1024, deadline: Duration::from_secs(30) };
/// Of a tunnel: no larger than what an HTTP/2 stream lets through at once.
const PART_OF_TUNNEL: Bounds = Bounds { largest: 64 * 1024, deadline: Duration::from_secs(30) };
/// Of anyone.
const OPEN_REQUEST: Bounds = Bounds { largest: 4 * 1024, deadline: Duration::from_secs(5) };

/// Who may call a method, in the type of its handler.
#[derive(Clone, Copy)]
pub(super) enum Route {
    /// Anyone; the handler judges.
    Open(fn(Arc<Service>, Arc<Visit>, Request<Incoming>) -> BoxFuture<Response>),
    /// Trusted clients.
    Client(fn(Arc<Service>, Authenticated, Request<Incoming>) -> BoxFuture<Response>),
    /// Whoever may say who is trusted: trusted clients, and root on this machine.
    Administrator(fn(Arc<Service>, Administrator, Request<Incoming>) -> BoxFuture<Response>),
    /// Trusted clients, who are told that this daemon cannot do it.
    NotYet,
}

macro_rules! open {
    ($handler:path) => {
        Route::Open(|service, visit, request| {
            Box::pin(reply(request, OPEN_REQUEST, move |message| {
                Box::pin(async move { $handler(&service, visit, message).await })
            }))
        })
    };
}

/// A handler for who was admitted, by the kind of its proof.
macro_rules! admitted {
    ($kind:ident $handler:path) => {
        Route::$kind(|service, by, request| {
            Box::pin(reply(request, REQUEST, move |message| {
                Box::pin(async move { $handler(&service, &by, message).await })
            }))
        })
    };
}

/// As [`admitted`], for a handler that may reply several times.
macro_rules! streamed {
    ($kind:ident $handler:path) => {
        Route::$kind(|service, by, request| {
            Box::pin(stream(request, REQUEST, move |message, _, replies| {
                Box::pin(async move { $handler(&service, &by, message, replies).await })
            }))
        })
    };
}

/// A service's methods.
type Methods = &'static [(&'static str, Route)];

const SERVICES: &[(&str, Methods)] =
    &[(rpc::SERVICE, RPC), (rpc::instances::SERVICE, INSTANCES), (rpc::trust::SERVICE, TRUST)];

const RPC: Methods = &[
    ("ping", open!(authenticate::ping)),
    ("authenticate", open!(authenticate::authenticate)),
    ("version", admitted!(Client about::version)),
    ("daemon_info", admitted!(Client about::daemon_info)),
    ("wait_ready", admitted!(Client about::wait_ready)),
    ("get", admitted!(Client settings::get)),
    ("set", admitted!(Client settings::set)),
    ("keys", admitted!(Client settings::keys)),
    ("list", admitted!(Client instances::list)),
    ("info", admitted!(Client instances::info)),
    ("find", admitted!(Client instances::find)),
    ("networks", admitted!(Client instances::networks)),
    ("create", streamed!(Client instances::launch)),
    ("launch", streamed!(Client instances::launch)),
    ("start", streamed!(Client instances::start)),
    ("restart", streamed!(Client instances::restart)),
    ("stop", admitted!(Client instances::stop)),
    ("suspend", admitted!(Client instances::suspend)),
    ("delet", streamed!(Client instances::delete)),
    ("recover", admitted!(Client instances::recover)),
    ("purge", streamed!(Client instances::purge)),
    ("ssh_info", admitted!(Client instances::ssh_info)),
    ("mount", Route::NotYet),
    ("umount", Route::NotYet),
    ("snapshot", Route::NotYet),
    ("restore", Route::NotYet),
    ("clone", Route::NotYet),
    ("zones", Route::NotYet),
    ("zones_state", Route::NotYet),
];

const INSTANCES: Methods = &[("Tunnel", Route::Client(tunnel))];

const TRUST: Methods = &[
    ("List", admitted!(Administrator trust::list)),
    ("Add", admitted!(Administrator trust::add)),
    ("Revoke", admitted!(Administrator trust::revoke)),
    ("SetPassphrase", admitted!(Administrator trust::set_passphrase)),
];

fn tunnel(service: Arc<Service>, by: Authenticated, request: Request<Incoming>) -> BoxFuture<Response> {
    Box::pin(stream(request, PART_OF_TUNNEL, |first, rest, replies| {
        Box::pin(instances::tunnel(service, by, first, rest, replies))
    }))
}

/// The method that a request's path names.
pub(super) fn find(path: &str) -> Option<(&'static str, Route)> {
    let (service, name) = path.strip_prefix('/')?.split_once('/')?;
    let (_, methods) = SERVICES.iter().find(|(known, _)| *known == service)?;
    methods.iter().copied().find(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_have_each_method_of_the_contracts_once() {
        for (table, contract) in
            [(RPC, rpc::METHODS), (INSTANCES, rpc::instances::METHODS), (TRUST, rpc::trust::METHODS)]
        {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            let unique: BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(names.len(), unique.len());
            assert_eq!(unique, contract.iter().copied().collect());
        }
    }

    #[test]
    fn only_ping_and_authenticate_are_open_and_root_alone_opens_only_the_trust_service() {
        let named = |table: Methods, is: fn(&Route) -> bool| -> Vec<&str> {
            table.iter().filter(|(_, route)| is(route)).map(|(name, _)| *name).collect()
        };
        let open = |route: &Route| matches!(route, Route::Open(_));
        assert_eq!(named(RPC, open), ["ping", "authenticate"]);
        for own in [INSTANCES, TRUST] {
            assert_eq!(named(own, open), [""; 0]);
        }
        let administrator = |route: &Route| matches!(route, Route::Administrator(_));
        for instances in [RPC, INSTANCES] {
            assert_eq!(named(instances, administrator), [""; 0]);
        }
        assert_eq!(named(TRUST, administrator).len(), TRUST.len());
    }

    #[test]
    fn other_paths_name_no_method() {
        assert_eq!(find("/multipass.Rpc/list").map(|(name, _)| name), Some("list"));
        let revoke = find("/multipass.trust.v1.Trust/Revoke");
        assert_eq!(revoke.map(|(name, _)| name), Some("Revoke"));
        for path in [
            "",
            "/",
            "list",
            "/list",
            "/multipass.Rpc",
            "/multipass.Rpc/",
            "/multipass.Rpc//list",
            "/multipass.Rpc/list/",
            "/multipass.Rpc/List",
            "/multipass.Rpcs/list",
            "/x/multipass.Rpc/list",
            "/multipass.Rpc/Revoke",
            "/multipass.Rpc/Tunnel",
            "/multipass.instances.v1.Instances/tunnel",
            "/multipass.trust.v1.Trust/list",
            "/multipass.trust.v1/List",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
