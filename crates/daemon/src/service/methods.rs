//! The method table: which methods there are, who may call each, and who answers it. What is not in the
//! table is refused.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use auth_core::{Authenticated, Level};
use http::Request;

use super::grpc::{self, BoxFuture, RequestLimits, Response};
use super::request_body::RequestBody;
use super::route::{self, Route, administration, any_level, command, open, query, streaming};
use super::{Service, authenticate, daemon_info, instances, settings, tokens, trust};

/// A request with a file in it: a `cloud-config`, which may have a quarter of that. Who sends a longer one is told so.
const REQUEST_WITH_FILE: RequestLimits =
    RequestLimits { max_bytes: 1024 * 1024, deadline: Duration::from_secs(30) };
/// A message of a tunnel: no larger than what an HTTP/2 stream lets through at once.
const TUNNEL_MESSAGE: RequestLimits =
    RequestLimits { max_bytes: 64 * 1024, deadline: Duration::from_secs(30) };

/// A service's methods.
type Methods = Vec<(&'static str, Route)>;

static SERVICES: LazyLock<[(&str, Methods); 3]> = LazyLock::new(|| {
    [
        (rpc::SERVICE, stock_methods()),
        (rpc::instances::SERVICE, instance_methods()),
        (rpc::trust::SERVICE, trust_methods()),
    ]
});

fn stock_methods() -> Methods {
    vec![
        ("ping", open(authenticate::ping)),
        ("authenticate", open(authenticate::authenticate)),
        ("version", query(daemon_info::version)),
        ("daemon_info", query(daemon_info::daemon_info)),
        ("wait_ready", query(daemon_info::wait_ready)),
        ("get", query(settings::get)),
        ("set", command(settings::set)),
        ("keys", query(settings::keys)),
        ("list", query(instances::list)),
        ("info", query(instances::info)),
        ("find", query(instances::find)),
        ("networks", query(instances::networks)),
        ("create", streaming(REQUEST_WITH_FILE, instances::launch)),
        ("launch", streaming(REQUEST_WITH_FILE, instances::launch)),
        ("start", streaming(route::REQUEST, instances::start)),
        ("restart", streaming(route::REQUEST, instances::restart)),
        ("stop", command(instances::stop)),
        ("suspend", command(instances::suspend)),
        ("delet", streaming(route::REQUEST, instances::delete)),
        ("recover", command(instances::recover)),
        ("purge", streaming(route::REQUEST, instances::purge)),
        ("ssh_info", command(instances::ssh_info)),
        ("mount", Route::NotImplemented(Level::Full)),
        ("umount", Route::NotImplemented(Level::Full)),
        ("snapshot", Route::NotImplemented(Level::Full)),
        ("restore", Route::NotImplemented(Level::Full)),
        ("clone", Route::NotImplemented(Level::Full)),
        ("zones", Route::NotImplemented(Level::ReadOnly)),
        ("zones_state", Route::NotImplemented(Level::Full)),
    ]
}

fn instance_methods() -> Methods {
    vec![("Tunnel", Route::Client(Level::Full, Box::new(tunnel)))]
}

fn trust_methods() -> Methods {
    vec![
        ("List", administration(trust::list)),
        ("Add", administration(trust::add)),
        ("Revoke", administration(trust::revoke)),
        ("SetLevel", administration(trust::set_level)),
        ("Rename", administration(trust::rename)),
        ("Deauthenticate", any_level(trust::deauthenticate)),
        ("SetPassphrase", administration(trust::set_passphrase)),
        ("PassphraseIsSet", administration(trust::passphrase_is_set)),
        ("CreateToken", administration(tokens::create)),
        ("ListTokens", administration(tokens::list)),
        ("RevokeToken", administration(tokens::revoke)),
        ("RedeemToken", open(tokens::redeem)),
    ]
}

fn tunnel(service: Arc<Service>, by: Authenticated, request: Request<RequestBody>) -> BoxFuture<Response> {
    // It has no end, and has one part at a time in memory.
    let request = request.map(|body| body.counting_at_most(TUNNEL_MESSAGE.max_bytes));
    Box::pin(grpc::streaming(request, TUNNEL_MESSAGE, |first, rest, replies| {
        Box::pin(instances::tunnel(service, by, first, rest, replies))
    }))
}

/// The method that a request's path names.
pub(super) fn find(path: &str) -> Option<(&'static str, &'static Route)> {
    let (service, name) = path.strip_prefix('/')?.split_once('/')?;
    let (_, methods) = SERVICES.iter().find(|(known, _)| *known == service)?;
    methods.iter().find(|(known, _)| *known == name).map(|(known, route)| (*known, route))
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
            Route::Open(_) | Route::AnyLevel(_) => Some(*name),
            Route::Client(level, _) | Route::NotImplemented(level) => {
                (*level == Level::ReadOnly).then_some(*name)
            }
            Route::Administrator(_) => None,
        };
        let of = |table: &Methods| table.iter().filter_map(open_to_readers).collect::<BTreeSet<_>>();
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
        assert_eq!(of(&stock_methods()), expected.into());
        assert_eq!(of(&instance_methods()), BTreeSet::new());
        assert_eq!(of(&trust_methods()), ["Deauthenticate", "RedeemToken"].into());
    }

    #[test]
    fn these_three_are_open_and_root_alone_opens_only_the_trust_service() {
        let named = |table: Methods, is: fn(&Route) -> bool| -> Vec<&'static str> {
            table.iter().filter(|(_, route)| is(route)).map(|(name, _)| *name).collect()
        };
        let open = |route: &Route| matches!(route, Route::Open(_));
        assert_eq!(named(stock_methods(), open), ["ping", "authenticate"]);
        assert_eq!(named(instance_methods(), open), [""; 0]);
        assert_eq!(named(trust_methods(), open), ["RedeemToken"]);
        let administrator = |route: &Route| matches!(route, Route::Administrator(_));
        for instances in [stock_methods(), instance_methods()] {
            assert_eq!(named(instances, administrator), [""; 0]);
        }
        assert_eq!(named(trust_methods(), administrator).len(), trust_methods().len() - 2);
        assert_eq!(named(trust_methods(), |route| matches!(route, Route::AnyLevel(_))), ["Deauthenticate"]);
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
