//! Limits for tunnels into instances: how many there may be, of all, of one client and into one instance. What
//! they carry is not seen here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth_core::Fingerprint;
use instances::InstanceName;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Those of one client: each command in an instance has one.
pub(crate) const MAX_PER_CLIENT: usize = 64;
/// Those into one instance, of whatever clients.
const MAX_PER_INSTANCE: usize = 64;

/// The tunnels of one daemon.
#[derive(Debug)]
pub(crate) struct Tunnels {
    limit: usize,
    open: Arc<Mutex<OpenTunnels>>,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct OpenTunnels {
    total: usize,
    clients: BTreeMap<Fingerprint, usize>,
    instances: BTreeMap<InstanceName, usize>,
}

/// That a tunnel may be open. Released when it is dropped.
#[derive(Debug)]
pub(crate) struct TunnelPermit {
    open: Arc<Mutex<OpenTunnels>>,
    client: Fingerprint,
    instance: InstanceName,
}

/// There may not be another tunnel.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum TooManyTunnels {
    /// The client has as many as it may.
    #[error("this client has {MAX_PER_CLIENT} connections into instances, as many as one may have")]
    OfClient,
    /// The instance has as many as it may.
    #[error("the instance has {MAX_PER_INSTANCE} connections from clients, as many as one may have")]
    IntoInstance,
    /// The daemon has as many as it can.
    #[error("the service has as many connections into instances as it can hold")]
    InTotal,
}

impl Tunnels {
    /// As many as `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, open: Arc::default(), end: CancellationToken::new() }
    }

    /// Permits another tunnel.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn permit(
        &self,
        client: Fingerprint,
        instance: &InstanceName,
    ) -> Result<TunnelPermit, TooManyTunnels> {
        let mut open = lock(&self.open);
        let held = |count: Option<&usize>| count.copied().unwrap_or(0);
        if held(open.clients.get(&client)) >= MAX_PER_CLIENT {
            return Err(TooManyTunnels::OfClient);
        }
        if held(open.instances.get(instance)) >= MAX_PER_INSTANCE {
            return Err(TooManyTunnels::IntoInstance);
        }
        if open.total >= self.limit {
            return Err(TooManyTunnels::InTotal);
        }
        open.total += 1;
        *open.clients.entry(client).or_default() += 1;
        *open.instances.entry(instance.clone()).or_default() += 1;
        Ok(TunnelPermit { open: Arc::clone(&self.open), client, instance: instance.clone() })
    }

    /// Ends all tunnels, those to come too.
    pub(crate) fn close(&self) {
        self.end.cancel();
    }

    /// Completes when all tunnels are to end.
    pub(crate) async fn closed(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for TunnelPermit {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.total -= 1;
        release(&mut open.clients, &self.client);
        release(&mut open.instances, &self.instance);
    }
}

fn release<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

// A panic cannot leave the counts wrong: nothing between two of their changes can panic.
fn lock(open: &Mutex<OpenTunnels>) -> MutexGuard<'_, OpenTunnels> {
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
    fn each_limit_is_kept_and_permits_are_released() {
        let (one, other) = (client(), client());
        type Choice = fn(usize) -> usize;
        let (same, another): (Choice, Choice) = (|_| 0, |number| number);
        for (limit, mine, which, reached, full) in [
            (1000, true, another as Choice, MAX_PER_CLIENT, TooManyTunnels::OfClient),
            (1000, false, same, MAX_PER_INSTANCE, TooManyTunnels::IntoInstance),
            (3, true, another, 3, TooManyTunnels::InTotal),
        ] {
            let tunnels = Tunnels::new(limit);
            let by = |number: usize| if mine || number.is_multiple_of(2) { one } else { other };
            let mut permits: Vec<TunnelPermit> = (0..reached)
                .map(|number| tunnels.permit(by(number), &instance(which(number))).unwrap())
                .collect();
            let again = || tunnels.permit(by(reached), &instance(which(reached)));
            assert_eq!(again().unwrap_err(), full);
            permits.pop();
            let _permit = again().unwrap();
            drop(permits);
        }
    }

    #[test]
    fn nothing_is_kept_of_tunnels_that_are_gone() {
        let tunnels = Tunnels::new(9);
        drop(tunnels.permit(client(), &instance(1)).unwrap());
        let open = lock(&tunnels.open);
        assert_eq!((open.total, open.clients.len(), open.instances.len()), (0, 0, 0));
    }
}
