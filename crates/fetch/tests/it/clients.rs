//! Clients for tests.

use std::time::Duration;

use fetch::{Client, Limits};
use rustls::RootCertStore;
use test_servers::Certificate;

pub(crate) const LIMITS: Limits =
    Limits { connect: Duration::from_secs(30), stall: Duration::from_secs(30), redirects: 3 };

/// A client that trusts this authority alone.
pub(crate) fn trusting(authority: &Certificate) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    Client::trusting(roots, LIMITS).unwrap()
}

/// One that trusts nobody: for http.
pub(crate) fn client(limits: Limits) -> Client {
    Client::trusting(RootCertStore::empty(), limits).unwrap()
}
