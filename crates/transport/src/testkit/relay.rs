//! A network between a client and a service that speak by datagrams: it loses some, holds all up, brings some out of
//! order, and can put clients behind another address in the middle of a connection, as a router does that forgot them.
//!
//! What is lost is decided by a seed; which datagram meets which decision depends on when it comes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Larger than any datagram.
const LARGEST: usize = 64 * 1024;

/// What a network does to datagrams, in each direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// Of a hundred datagrams, so many are lost.
    pub loss_percent: u64,
    /// How long every datagram takes.
    pub delay: Duration,
    /// How much longer some take, at most. Datagrams overtake each other by it.
    pub jitter: Duration,
}

/// A relay to one service. It runs in a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    _stop: DropGuard,
}

impl Relay {
    /// Starts a relay to the service at `to`.
    #[must_use]
    pub fn start(to: SocketAddr, conditions: Conditions, seed: u64) -> Self {
        let state = Arc::new(State {
            to,
            conditions,
            random: Mutex::new(seed),
            ways: Mutex::default(),
            lost: AtomicUsize::new(0),
        });
        let stop = CancellationToken::new();
        let inside = std::net::UdpSocket::bind(SocketAddr::new(to.ip(), 0)).expect("a port");
        let address = inside.local_addr().expect("its address");
        inside.set_nonblocking(true).expect("a socket that does not block");
        let (running, stopped) = (Arc::clone(&state), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let inside = UdpSocket::from_std(inside).expect("a socket");
                stopped.run_until_cancelled(carry_all(running, Arc::new(inside))).await;
            });
        });
        Self { address, state, _stop: stop.drop_guard() }
    }

    /// Where clients reach the service through this relay.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts every client behind another address, as the service sees it. What is on its way to the old ones is lost.
    pub fn move_clients(&self) {
        self.state.ways().clear();
    }

    /// Where the service sees the clients come from.
    #[must_use]
    pub fn outside(&self) -> Vec<SocketAddr> {
        self.state.ways().values().filter_map(|way| way.socket.local_addr().ok()).collect()
    }

    /// How many datagrams were lost so far.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.state.lost.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct State {
    to: SocketAddr,
    conditions: Conditions,
    random: Mutex<u64>,
    /// By the client's address.
    ways: Mutex<HashMap<SocketAddr, Way>>,
    lost: AtomicUsize,
}

/// A client's way to the service. The way back ends when it is dropped.
#[derive(Debug)]
struct Way {
    socket: Arc<UdpSocket>,
    _back: oneshot::Sender<()>,
}

impl State {
    fn ways(&self) -> MutexGuard<'_, HashMap<SocketAddr, Way>> {
        self.ways.lock().expect("nobody panics with it")
    }

    /// A number below `end` (splitmix64, Steele and others 2014).
    fn random(&self, end: u64) -> u64 {
        let mut state = self.random.lock().expect("nobody panics with it");
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = *state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % end.max(1)
    }

    /// Brings one datagram to its end, later, or loses it.
    fn carry(&self, datagram: &[u8], by: &Arc<UdpSocket>, to: SocketAddr) {
        if self.random(100) < self.conditions.loss_percent {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let jitter = u64::try_from(self.conditions.jitter.as_micros()).expect("a short time");
        let takes = self.conditions.delay + Duration::from_micros(self.random(jitter));
        let (datagram, by) = (datagram.to_vec(), Arc::clone(by));
        tokio::spawn(async move {
            sleep(takes).await;
            // A network tells nobody either that there is nobody.
            let _ = by.send_to(&datagram, to).await;
        });
    }
}

async fn carry_all(state: Arc<State>, inside: Arc<UdpSocket>) {
    let mut buffer = vec![0; LARGEST];
    loop {
        let Ok((length, client)) = inside.recv_from(&mut buffer).await else { continue };
        let known = state.ways().get(&client).map(|way| Arc::clone(&way.socket));
        let socket = match known {
            Some(socket) => socket,
            None => {
                let any_port = SocketAddr::new(state.to.ip(), 0);
                let socket = Arc::new(UdpSocket::bind(any_port).await.expect("a port"));
                let (back, ended) = oneshot::channel();
                let carrying =
                    carry_back(Arc::clone(&state), Arc::clone(&socket), Arc::clone(&inside), client);
                tokio::spawn(async move {
                    tokio::select! {
                        () = carrying => {}
                        _ = ended => {}
                    }
                });
                state.ways().insert(client, Way { socket: Arc::clone(&socket), _back: back });
                socket
            }
        };
        state.carry(&buffer[..length], &socket, state.to);
    }
}

async fn carry_back(state: Arc<State>, socket: Arc<UdpSocket>, inside: Arc<UdpSocket>, client: SocketAddr) {
    let mut buffer = vec![0; LARGEST];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if from == state.to {
            state.carry(&buffer[..length], &inside, client);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::testkit::run;

    /// A relay with a client at the one end and a service at the other.
    async fn relayed(conditions: Conditions) -> (UdpSocket, Relay, UdpSocket) {
        let service = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay::start(service.local_addr().unwrap(), conditions, 1);
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(relay.address()).await.unwrap();
        (client, relay, service)
    }

    async fn receive(socket: &UdpSocket) -> (u8, SocketAddr) {
        let mut buffer = [0; 2];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        assert_eq!(length, 1);
        (buffer[0], from)
    }

    #[test]
    fn datagrams_pass_both_ways_and_a_client_can_be_moved() {
        run(async {
            let (client, relay, service) = relayed(Conditions::default()).await;
            client.send(b"a").await.unwrap();
            let (sent, first) = receive(&service).await;
            assert_eq!((sent, relay.outside()), (b'a', vec![first]));
            service.send_to(b"b", first).await.unwrap();
            assert_eq!(receive(&client).await.0, b'b');

            relay.move_clients();
            client.send(b"c").await.unwrap();
            let (sent, second) = receive(&service).await;
            assert_eq!(sent, b'c');
            assert_ne!(first, second);
            // Nobody is behind the old address any more.
            service.send_to(b"d", first).await.unwrap();
            service.send_to(b"e", second).await.unwrap();
            assert_eq!(receive(&client).await.0, b'e');
            assert_eq!(relay.lost(), 0);
        });
    }

    #[test]
    fn some_are_lost_and_some_overtake_others_and_all_take_their_time() {
        run(async {
            let conditions = Conditions {
                loss_percent: 20,
                delay: Duration::from_millis(20),
                jitter: Duration::from_millis(30),
            };
            let (client, relay, service) = relayed(conditions).await;
            let start = tokio::time::Instant::now();
            for number in 0..200 {
                client.send(&[number]).await.unwrap();
            }
            let mut received = vec![receive(&service).await.0];
            assert!(start.elapsed() >= conditions.delay);
            while received.len() + relay.lost() < 200 {
                // The last of them may be lost while it is waited for.
                if let Ok((number, _)) = timeout(conditions.jitter, receive(&service)).await {
                    received.push(number);
                }
            }
            assert!((15..80).contains(&relay.lost()), "{} lost", relay.lost());
            assert!(!received.is_sorted(), "none overtook another");
        });
    }
}
