//! Room for tunnels into instances: how many there may be, of all, of one client and into one instance. What
//! they carry is not seen here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth_core::Fingerprint;
use instances::InstanceName;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Those of one client: each command in an instance has one.
pub(crate) const MAX_OF_CLIENT: usize = 64;
/// Those into one instance, of whatever clients.
const MAX_INTO_INSTANCE: usize = 64;

/// The tunnels of one daemon.
#[derive(Debug)]
pub(crate) struct Tunnels {
    limit: usize,
    open: Arc<Mutex<Open>>,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    clients: BTreeMap<Fingerprint, usize>,
    instances: BTreeMap<InstanceName, usize>,
}

/// A tunnel's place. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<Mutex<Open>>,
    client: Fingerprint,
    instance: InstanceName,
}

/// There is no place for another tunnel.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Full {
    /// The client has as many as it may.
    #[error("this client has {MAX_OF_CLIENT} connections into instances, as many as one may have")]
    Client,
    /// The instance has as many as it may.
    #[error("the instance has {MAX_INTO_INSTANCE} connections from clients, as many as one may have")]
    Instance,
    /// The daemon has as many as it can.
    #[error("the service has as many connections into instances as it can hold")]
    All,
}

impl Tunnels {
    /// Room for `limit` of them.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, open: Arc::default(), end: CancellationToken::new() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn enter(&self, client: Fingerprint, instance: &InstanceName) -> Result<Place, Full> {
        let mut open = lock(&self.open);
        let held = |count: Option<&usize>| count.copied().unwrap_or(0);
        if held(open.clients.get(&client)) >= MAX_OF_CLIENT {
            return Err(Full::Client);
        }
        if held(open.instances.get(instance)) >= MAX_INTO_INSTANCE {
            return Err(Full::Instance);
        }
        if open.all >= self.limit {
            return Err(Full::All);
        }
        open.all += 1;
        *open.clients.entry(client).or_default() += 1;
        *open.instances.entry(instance.clone()).or_default() += 1;
        Ok(Place { open: Arc::clone(&self.open), client, instance: instance.clone() })
    }

    /// Ends all tunnels, those to come too.
    pub(crate) fn end(&self) {
        self.end.cancel();
    }

    /// Completes when all tunnels are to end.
    pub(crate) async fn ended(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.all -= 1;
        give_back(&mut open.clients, &self.client);
        give_back(&mut open.instances, &self.instance);
    }
}

fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

// A panic cannot leave the counts wrong: nothing between two of their changes can panic.
fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use transport::testkit::certificates::TestIdentity;

    use super::*;

    fn client() -> Fingerprint {
        let der = TestIdentity::client().certificate().to_vec();
        auth_core::ClientCertificate::from_der(der).unwrap().fingerprint()
    }

    fn instance(number: usize) -> InstanceName {
        format!("i{number}").parse().unwrap()
    }

    #[test]
    fn each_bound_is_kept_and_places_are_given_back() {
        let (one, other) = (client(), client());
        type Choice = fn(usize) -> usize;
        let (same, another): (Choice, Choice) = (|_| 0, |number| number);
        for (limit, mine, which, reached, full) in [
            (1000, true, another as Choice, MAX_OF_CLIENT, Full::Client),
            (1000, false, same, MAX_INTO_INSTANCE, Full::Instance),
            (3, true, another, 3, Full::All),
        ] {
            let tunnels = Tunnels::new(limit);
            let by = |number: usize| if mine || number.is_multiple_of(2) { one } else { other };
            let mut places: Vec<Place> = (0..reached)
                .map(|number| tunnels.enter(by(number), &instance(which(number))).unwrap())
                .collect();
            let again = || tunnels.enter(by(reached), &instance(which(reached)));
            assert_eq!(again().unwrap_err(), full);
            places.pop();
            let _place = again().unwrap();
            drop(places);
        }
    }

    #[test]
    fn nothing_is_kept_of_tunnels_that_are_gone() {
        let tunnels = Tunnels::new(9);
        drop(tunnels.enter(client(), &instance(1)).unwrap());
        let open = lock(&tunnels.open);
        assert_eq!((open.all, open.clients.len(), open.instances.len()), (0, 0, 0));
    }
}
