//! The same over a network, where it is the address that counts: all that loopback has are one, for any user may
//! take any of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{DaemonOptions, Via, skip, wait_until};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::Code;

use super::{EVALUATED, GENEROUS, Guess, NOT_EVALUATED, RIGHT, SOON, WRONG, guess, protect};
use crate::dialling::{quic_from, reached_from};
use crate::peer::{Identity, Peer, Place};
use crate::support::{Expected, NO_INSTANCES, Service, run};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An attacker may stay on one connection or make a new one each time; these do something of both.
const GUESSES_A_CONNECTION: usize = 40;
/// Long enough for a guess after the first wait.
const SHORT: Duration = Duration::from_millis(2500);
/// Connections at once, of those who guess from many addresses: fewer than one source's places.
const AT_ONCE: usize = 32;

#[test]
fn an_attack_over_tcp_gets_few_guesses() {
    attack_for(Via::Tcp, 1, SHORT);
}

#[test]
fn an_attack_over_quic_gets_few_guesses() {
    attack_for(Via::Quic, 1, SHORT);
}

#[test]
fn all_addresses_of_loopback_are_one_source_over_tcp() {
    guess_from_many_addresses(Via::Tcp);
}

#[test]
fn all_addresses_of_loopback_are_one_source_over_quic() {
    guess_from_many_addresses(Via::Quic);
}

mod long {
    use super::*;

    #[test]
    #[ignore = "takes five minutes: after the attack, who waits has a turn behind the four attackers"]
    fn an_attack_of_a_minute_over_tcp_gets_few_guesses() {
        attack_for(Via::Tcp, 4, Duration::from_secs(60));
    }

    #[test]
    #[ignore = "takes five minutes: after the attack, who waits has a turn behind the four attackers"]
    fn an_attack_of_a_minute_over_quic_gets_few_guesses() {
        attack_for(Via::Quic, 4, Duration::from_secs(60));
    }
}

/// Reached over a network, and by its own users over the Unix socket too.
fn service_over(via: Via) -> Service {
    let service =
        Service::start_with(DaemonOptions { via, also: vec![Via::Unix], ..DaemonOptions::default() });
    protect(&service.first_client());
    service
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// The most that one source has evaluated in that time: four, and one more after 1, 3, 7, 15, 31 seconds.
fn most_in(passed: Duration) -> usize {
    4 + (1..6).take_while(|doublings| Duration::from_secs((1 << doublings) - 1) <= passed).count()
}

/// What guesses came to.
#[derive(Debug, Default)]
struct Answers {
    evaluated: usize,
    told_to_wait: usize,
}

impl Answers {
    async fn guess(&mut self, peer: &mut Peer) {
        let refused = peer.authenticate(WRONG).await.expect_err("a wrong passphrase");
        match refused.code() {
            Code::InvalidArgument => self.evaluated += 1,
            Code::ResourceExhausted => self.told_to_wait += 1,
            _ => panic!("{refused:?}"),
        }
    }

    fn add(&mut self, other: &Self) {
        self.evaluated += other.evaluated;
        self.told_to_wait += other.told_to_wait;
    }
}

/// Whoever is somewhere else gets in by the passphrase, soon.
#[track_caller]
fn somebody_else_enters(service: &Service) {
    let local = service.daemon.address_over(Via::Unix).expect("a socket");
    let newcomer = service.user("newcomer").at(local);
    let began = Instant::now();
    assert_eq!(guess(&newcomer, RIGHT), Guess::Right);
    assert!(began.elapsed() < SOON, "the right passphrase took {:?}", began.elapsed());
}

/// Who knows it may not enter from the attacked source before the time that it is told, and then may.
#[track_caller]
fn who_waits_enters(service: &Service) {
    let patient = service.user("patient");
    let Guess::TooSoon(wait) = guess(&patient, RIGHT) else {
        panic!("a guess before its time was evaluated")
    };
    thread::sleep(wait);
    assert_eq!(guess(&patient, RIGHT), Guess::Right);
}

/// So many of one address, as fast as they can. Each has its turn before whoever comes after them.
fn attack_for(via: Via, count: usize, time: Duration) {
    let service = service_over(via);
    let first = service.user("first");
    let place = Place::of(&service.daemon).from(HERE);
    let runtime = runtime();
    let began = Instant::now();
    let attackers: Vec<_> = (0..count)
        .map(|_| {
            let place = place.clone();
            runtime.spawn(async move {
                let (identity, mut answers) = (Identity::new(), Answers::default());
                while began.elapsed() < time {
                    let mut peer = Peer::connect(&place, Some(&identity)).await.expect("a connection");
                    for _ in 0..GUESSES_A_CONNECTION {
                        answers.guess(&mut peer).await;
                    }
                }
                answers
            })
        })
        .collect();

    // Until it is seen to be under way, there is nothing to be kept up by.
    wait_until("the attack begins", GENEROUS, || service.daemon.logged().contains(NOT_EVALUATED)).unwrap();
    somebody_else_enters(&service);
    let (mut rounds, mut slowest) = (0, Duration::ZERO);
    while rounds < 3 || attackers.iter().any(|attacker| !attacker.is_finished()) {
        rounds += 1;
        let called = Instant::now();
        run(&first, &["list"]).prints(NO_INSTANCES);
        slowest = slowest.max(called.elapsed());
    }
    assert!(slowest < GENEROUS, "a trusted client was served after {slowest:?}");

    let mut answers = Answers::default();
    for attacker in attackers {
        answers.add(&runtime.block_on(attacker).expect("no panic"));
    }
    let most = most_in(began.elapsed());
    assert_eq!(service.daemon.logged().matches(EVALUATED).count(), answers.evaluated);
    assert!((5..=most).contains(&answers.evaluated), "{answers:?}, and {most} are allowed");
    assert!(most < 30 && answers.told_to_wait > 20 * count, "no attack: {answers:?}");
    who_waits_enters(&service);
    assert_eq!(service.trusted(), 3);
}

/// Each guesses once.
fn guess_from_many_addresses(via: Via) {
    let service = service_over(via);
    let place = Place::of(&service.daemon);
    let of_loopback = (0..1000_u16).map(|number| {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([127, low, high, 1 + low / 2])
    });
    let mapped = "127.9.9.9".parse::<Ipv4Addr>().expect("an address").to_ipv6_mapped();
    let addresses: Vec<IpAddr> = of_loopback.chain([Ipv6Addr::LOCALHOST.into(), mapped.into()]).collect();

    let runtime = runtime();
    let began = Instant::now();
    let answers = runtime.block_on(async {
        let (mut answers, mut tasks) = (Answers::default(), JoinSet::new());
        for address in addresses {
            if tasks.len() == AT_ONCE {
                let ended: Option<Result<Answers, _>> = tasks.join_next().await;
                answers.add(&ended.expect("one of them").expect("no panic"));
            }
            let place = place.from(address);
            tasks.spawn(async move {
                let mut peer = Peer::connect(&place, Some(&Identity::new())).await.expect("a connection");
                let mut answers = Answers::default();
                answers.guess(&mut peer).await;
                answers
            });
        }
        for rest in tasks.join_all().await {
            answers.add(&rest);
        }
        answers
    });
    let most = most_in(began.elapsed());
    assert_eq!(service.daemon.logged().matches(EVALUATED).count(), answers.evaluated);
    assert_eq!(answers.evaluated + answers.told_to_wait, 1002);
    assert!((4..=most).contains(&answers.evaluated), "{answers:?}, and {most} are allowed");
    somebody_else_enters(&service);
}

/// An address of this machine that is not loopback's; none where it is on no network.
fn own_address() -> Option<IpAddr> {
    // To no one: no datagram is sent.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

/// Who has reached a port of loopback is on this machine, and may take any address that the machine has.
#[test]
fn who_reaches_loopback_from_another_address_of_the_machine_is_the_same_source() {
    let Some(own) = own_address() else { return skip("needs an address that is not loopback's") };
    for via in [Via::Tcp, Via::Quic] {
        let service = service_over(via);
        let place = Place::of(&service.daemon);
        runtime().block_on(async {
            let mut answers = Answers::default();
            for local in [HERE, own, HERE, own, own] {
                let mut peer = Peer::connect(&place.from(local), Some(&Identity::new())).await.unwrap();
                answers.guess(&mut peer).await;
            }
            assert_eq!((answers.evaluated, answers.told_to_wait), (4, 1), "{via:?}");
        });
    }
}

/// A connection that moves to another address guesses for the one where it began.
#[test]
fn a_quic_connection_keeps_the_source_of_its_handshake() {
    let Some(own) = own_address() else { return skip("needs an address that is not loopback's") };
    let arguments = ["--address", "quic:0.0.0.0:0", "--allow-remote"].map(str::to_owned).to_vec();
    let service = Service::start_with(DaemonOptions { arguments, ..DaemonOptions::default() });
    protect(&service.first_client());
    let log = service.daemon.logged();
    let (_, port) = log.split_once("listening on quic:0.0.0.0:").expect("its address");
    let port: u16 = port.split_whitespace().next().expect("a port").parse().expect("a number");
    let place = Place::at(&service.daemon, &format!("quic:{}", SocketAddr::new(own, port)));
    runtime().block_on(async {
        let tls = place.tls(Some(&Identity::new())).expect("a root certificate");
        let at = reached_from(HERE, place.endpoint());
        let (endpoint, connection) = quic_from(HERE, at, &tls).await.expect("a connection");
        let stream = connection.open_bi().await.expect("a stream");
        let mut moving = Peer::over(Box::new(tokio::io::join(stream.1, stream.0))).await.expect("HTTP/2");
        let mut answers = Answers::default();
        answers.guess(&mut moving).await;
        endpoint.rebind(UdpSocket::bind(SocketAddr::new(own, 0)).expect("a port")).expect("a move");
        for _ in 0..3 {
            answers.guess(&mut moving).await;
        }
        assert_eq!(answers.evaluated, 4);
        // To where it has moved nothing has been done.
        let mut there = Peer::connect(&place.from(own), Some(&Identity::new())).await.expect("a connection");
        answers.guess(&mut there).await;
        assert_eq!(answers.evaluated, 5);
        let mut here = Peer::connect(&place.from(HERE), Some(&Identity::new())).await.expect("a connection");
        answers.guess(&mut here).await;
        assert_eq!(answers.told_to_wait, 1);
    });
}
