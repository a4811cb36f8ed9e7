//! The method table: which methods there are, who may call each, and who answers it. What is not in the
//! table is refused.

use std::sync::Arc;

use auth_core::Authenticated;
use http::Request;
use hyper::body::Incoming;

use super::reply::{BoxFuture, Response, reply};
use super::{Service, Visit, about, authenticate, instances, settings};

/// The largest request that a trusted client may send, in bytes (gRPC's usual limit).
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;
/// The largest request that is read of a stranger, in bytes.
const LARGEST_OPEN_REQUEST: usize = 4 * 1024;

/// Who may call a method, in the type of its handler.
#[derive(Clone, Copy)]
pub(super) enum Route {
    /// Anyone; the handler judges.
    Open(fn(Arc<Service>, Arc<Visit>, Request<Incoming>) -> BoxFuture<Response>),
    /// Trusted clients.
    Client(fn(Arc<Service>, Authenticated, Request<Incoming>) -> BoxFuture<Response>),
    /// Trusted clients, who are told that this daemon cannot do it.
    NotYet,
}

macro_rules! open {
    ($handler:path) => {
        Route::Open(|service, visit, request| {
            Box::pin(reply(request, LARGEST_OPEN_REQUEST, move |message| {
                Box::pin(async move { $handler(&service, visit, message).await })
            }))
        })
    };
}

macro_rules! client {
    ($handler:path) => {
        Route::Client(|service, by, request| {
            Box::pin(reply(request, LARGEST_REQUEST, move |message| {
                Box::pin(async move { $handler(&service, &by, message).await })
            }))
        })
    };
}

const METHODS: &[(&str, Route)] = &[
    ("ping", open!(authenticate::ping)),
    ("authenticate", open!(authenticate::authenticate)),
    ("version", client!(about::version)),
    ("daemon_info", client!(about::daemon_info)),
    ("wait_ready", client!(about::wait_ready)),
    ("get", client!(settings::get)),
    ("set", client!(settings::set)),
    ("keys", client!(settings::keys)),
    ("list", client!(instances::list)),
    ("info", client!(instances::info)),
    ("create", Route::NotYet),
    ("launch", Route::NotYet),
    ("purge", Route::NotYet),
    ("find", Route::NotYet),
    ("networks", Route::NotYet),
    ("mount", Route::NotYet),
    ("recover", Route::NotYet),
    ("ssh_info", Route::NotYet),
    ("start", Route::NotYet),
    ("stop", Route::NotYet),
    ("suspend", Route::NotYet),
    ("restart", Route::NotYet),
    ("delet", Route::NotYet),
    ("umount", Route::NotYet),
    ("snapshot", Route::NotYet),
    ("restore", Route::NotYet),
    ("clone", Route::NotYet),
    ("zones", Route::NotYet),
    ("zones_state", Route::NotYet),
];

/// The method that a request's path names.
pub(super) fn find(path: &str) -> Option<(&'static str, Route)> {
    let name = path.strip_prefix('/')?.strip_prefix(rpc::SERVICE)?.strip_prefix('/')?;
    METHODS.iter().copied().find(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_has_each_method_of_the_contract_once() {
        let table: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
        let unique: BTreeSet<&str> = table.iter().copied().collect();
        assert_eq!(table.len(), unique.len());
        assert_eq!(unique, rpc::METHODS.iter().copied().collect());
    }

    #[test]
    fn only_ping_and_authenticate_are_open() {
        let open: Vec<&str> = METHODS
            .iter()
            .filter(|(_, route)| matches!(route, Route::Open(_)))
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(open, ["ping", "authenticate"]);
    }

    #[test]
    fn other_paths_name_no_method() {
        assert_eq!(find("/multipass.Rpc/list").map(|(name, _)| name), Some("list"));
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
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
