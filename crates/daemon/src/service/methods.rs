//! The method table: which methods there are, who may call each, and who answers it. What is not in the
//! table is refused.

use std::sync::Arc;
use std::time::Duration;

use auth_core::{Administrator, Authenticated, Level};
use http::Request;

use super::body::Body;
use super::reply::{Bounds, BoxFuture, Response, reply, stream};
use super::{Service, Visit, about, authenticate, instances, settings, tokens, trust, unread};

/// Of a trusted client. The largest names a thousand instances, whose names are not all of the longest, or
/// carries a certificate.
const REQUEST: Bounds = Bounds { largest: 64 * 1024, deadline: Duration::from_secs(30) };
/// With a file in it: a `cloud-config`, which may have a quarter of that. Who sends a longer one is told so.
const REQUEST_WITH_FILE: Bounds = Bounds { largest: 1024 * 1024, deadline: Duration::from_secs(30) };
/// Of a tunnel: no larger than what an HTTP/2 stream lets through at once.
const PART_OF_TUNNEL: Bounds = Bounds { largest: 64 * 1024, deadline: Duration::from_secs(30) };
/// Of anyone.
const OPEN_REQUEST: Bounds = Bounds { largest: 4 * 1024, deadline: Duration::from_secs(5) };

/// Who may call a method, in the type of its handler.
#[derive(Clone, Copy)]
pub(super) enum Route {
    /// Anyone; the handler judges.
    Open(fn(Arc<Service>, Arc<Visit>, Request<Body>) -> BoxFuture<Response>),
    /// Trusted clients of this level or a higher one.
    Client(Level, fn(Arc<Service>, Authenticated, Request<Body>) -> BoxFuture<Response>),
    /// A trusted client of whatever level, about itself. Nobody is the first client by it.
    Oneself(fn(Arc<Service>, Authenticated, Request<Body>) -> BoxFuture<Response>),
    /// Whoever may say who is trusted: clients of the full level, and root on this machine.
    Administrator(fn(Arc<Service>, Administrator, Request<Body>) -> BoxFuture<Response>),
    /// Trusted clients of this level or a higher one, who are told that this daemon cannot do it.
    NotYet(Level),
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

/// The route of a handler: by its level, for trusted clients, or by the kind of its proof.
macro_rules! route {
    (Oneself, $handler:expr) => {
        Route::Oneself($handler)
    };
    (Administrator, $handler:expr) => {
        Route::Administrator($handler)
    };
    ($level:ident, $handler:expr) => {
        Route::Client(Level::$level, $handler)
    };
}

/// Has a client still to be what it was when the call began: the message may have come much later. What
/// administrators ask and change is judged again by the authority and its store.
macro_rules! still {
    (Oneself, $service:ident, $by:ident) => {};
    (Administrator, $service:ident, $by:ident) => {};
    ($level:ident, $service:ident, $by:ident) => {
        $service.check_again(&$by)?
    };
}

/// Has a client's share bear the reply to a question. What is changed was changed already, and what administrators are
/// told may name more clients than a share holds.
macro_rules! bear {
    (ReadOnly, $held:ident, $reply:ident) => {
        unread::take($held.as_deref(), &$reply)?
    };
    ($kind:ident, $held:ident, $reply:ident) => {
        drop($held)
    };
}

/// A handler for who was admitted, by the level that it needs or the kind of its proof.
macro_rules! admitted {
    ($kind:ident $handler:path) => {
        route!($kind, |service, by, request| {
            let held = request.body().held();
            Box::pin(reply(request, REQUEST, move |message| {
                Box::pin(async move {
                    still!($kind, service, by);
                    let reply = $handler(&service, &by, message).await?;
                    bear!($kind, held, reply);
                    Ok(reply)
                })
            }))
        })
    };
}

/// As [`admitted`], for a handler that may reply several times.
macro_rules! streamed {
    ($kind:ident $handler:path) => {
        streamed!($kind $handler, REQUEST)
    };
    ($kind:ident $handler:path, $bounds:expr) => {
        route!($kind, |service, by, request| {
            Box::pin(stream(request, $bounds, move |message, _, replies| {
                Box::pin(async move {
                    still!($kind, service, by);
                    $handler(&service, &by, message, replies).await
                })
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
    ("version", admitted!(ReadOnly about::version)),
    ("daemon_info", admitted!(ReadOnly about::daemon_info)),
    ("wait_ready", admitted!(ReadOnly about::wait_ready)),
    ("get", admitted!(ReadOnly settings::get)),
    ("set", admitted!(Full settings::set)),
    ("keys", admitted!(ReadOnly settings::keys)),
    ("list", admitted!(ReadOnly instances::list)),
    ("info", admitted!(ReadOnly instances::info)),
    ("find", admitted!(ReadOnly instances::find)),
    ("networks", admitted!(ReadOnly instances::networks)),
    ("create", streamed!(Full instances::launch, REQUEST_WITH_FILE)),
    ("launch", streamed!(Full instances::launch, REQUEST_WITH_FILE)),
    ("start", streamed!(Full instances::start)),
    ("restart", streamed!(Full instances::restart)),
    ("stop", admitted!(Full instances::stop)),
    ("suspend", admitted!(Full instances::suspend)),
    ("delet", streamed!(Full instances::delete)),
    ("recover", admitted!(Full instances::recover)),
    ("purge", streamed!(Full instances::purge)),
    ("ssh_info", admitted!(Full instances::ssh_info)),
    ("mount", Route::NotYet(Level::Full)),
    ("umount", Route::NotYet(Level::Full)),
    ("snapshot", Route::NotYet(Level::Full)),
    ("restore", Route::NotYet(Level::Full)),
    ("clone", Route::NotYet(Level::Full)),
    ("zones", Route::NotYet(Level::ReadOnly)),
    ("zones_state", Route::NotYet(Level::Full)),
];

const INSTANCES: Methods = &[("Tunnel", Route::Client(Level::Full, tunnel))];

const TRUST: Methods = &[
    ("List", admitted!(Administrator trust::list)),
    ("Add", admitted!(Administrator trust::add)),
    ("Revoke", admitted!(Administrator trust::revoke)),
    ("SetLevel", admitted!(Administrator trust::set_level)),
    ("Rename", admitted!(Administrator trust::rename)),
    ("Deauthenticate", admitted!(Oneself trust::deauthenticate)),
    ("SetPassphrase", admitted!(Administrator trust::set_passphrase)),
    ("PassphraseIsSet", admitted!(Administrator trust::passphrase_is_set)),
    ("CreateToken", admitted!(Administrator tokens::create)),
    ("ListTokens", admitted!(Administrator tokens::list)),
    ("RevokeToken", admitted!(Administrator tokens::revoke)),
    ("RedeemToken", open!(tokens::redeem)),
];

fn tunnel(service: Arc<Service>, by: Authenticated, request: Request<Body>) -> BoxFuture<Response> {
    // It has no end, and has one part at a time in memory.
    let request = request.map(|body| body.taking_at_most(PART_OF_TUNNEL.largest));
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

    /// Of all services that our descriptors have: a method that somebody adds is refused until it has a level here.
    #[test]
    fn each_method_of_each_service_is_in_the_table_once() {
        let services: BTreeSet<&str> = rpc::SERVICES.iter().map(|(name, _)| *name).collect();
        assert_eq!(services, SERVICES.iter().map(|(name, _)| *name).collect());
        for (service, methods) in rpc::SERVICES {
            let (_, table) = SERVICES.iter().find(|(name, _)| name == service).unwrap();
            let names = table.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>();
            assert_eq!(names.len(), table.len(), "{service}: a method twice");
            assert_eq!(names, methods.iter().copied().collect(), "{service}");
            for method in *methods {
                assert!(find(&format!("/{service}/{method}")).is_some(), "{service}/{method}");
            }
        }
    }

    /// Written down a second time, so that a slip in the table is one.
    #[test]
    fn who_may_only_read_may_call_these_and_no_others() {
        let open_to_readers = |(name, route): &(&'static str, Route)| match route {
            Route::Open(_) | Route::Oneself(_) => Some(*name),
            Route::Client(level, _) | Route::NotYet(level) => (*level == Level::ReadOnly).then_some(*name),
            Route::Administrator(_) => None,
        };
        let of = |table: Methods| table.iter().filter_map(open_to_readers).collect::<BTreeSet<_>>();
        let expected = [
            "authenticate",
            "daemon_info",
            "find",
            "get",
            "info",
            "keys",
            "list",
            "networks",
            "ping",
            "version",
            "wait_ready",
            "zones",
        ];
        assert_eq!(of(RPC), expected.into());
        assert_eq!(of(INSTANCES), BTreeSet::new());
        assert_eq!(of(TRUST), ["Deauthenticate", "RedeemToken"].into());
    }

    #[test]
    fn these_three_are_open_and_root_alone_opens_only_the_trust_service() {
        let named = |table: Methods, is: fn(&Route) -> bool| -> Vec<&str> {
            table.iter().filter(|(_, route)| is(route)).map(|(name, _)| *name).collect()
        };
        let open = |route: &Route| matches!(route, Route::Open(_));
        assert_eq!(named(RPC, open), ["ping", "authenticate"]);
        assert_eq!(named(INSTANCES, open), [""; 0]);
        assert_eq!(named(TRUST, open), ["RedeemToken"]);
        let administrator = |route: &Route| matches!(route, Route::Administrator(_));
        for instances in [RPC, INSTANCES] {
            assert_eq!(named(instances, administrator), [""; 0]);
        }
        assert_eq!(named(TRUST, administrator).len(), TRUST.len() - 2);
        assert_eq!(named(TRUST, |route| matches!(route, Route::Oneself(_))), ["Deauthenticate"]);
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
