//! Over the network's transports, on loopback: TCP beside a bare service, QUIC beside our own TCP, and one stream
//! of QUIC beside quinn's.

use anyhow::{Context, bail};
use e2e::{Daemon, DaemonOptions, Via};

use super::{HOME, KIB, Stage, Turns, number};
use crate::bench::Pace;
use crate::bench::process::ask;
use crate::bench::report::{Figure, Limits, Unit};

impl Stage {
    pub(super) fn tcp(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let bare = self.start_bare(&mut self.bare_service_at("127.0.0.1:0"))?;
        let daemon = self.start_on_ports(&[Via::Tcp])?;
        let calls = self.calls(&bare.address, &numeric(&daemon, Via::Tcp)?, pace)?;
        let latency = Limits::RatioAtMost { must: 1.15, aim: 1.05 };
        let rate = Limits::RatioAtLeast { must: 0.90, aim: 0.97 };
        let seconds = Unit::Seconds;
        Ok(vec![
            calls.one.figure("TCP: warm list, 1 connection", seconds, latency),
            calls.many.figure("TCP: warm list, 64 connections", seconds, latency),
            calls.rate.figure("TCP: calls, 64 connections", Unit::PerSecond, rate),
            calls.new.figure("TCP: new connection to first reply", seconds, latency),
        ])
    }

    /// The floor is TCP's, of the same daemon.
    pub(super) fn quic(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let vias = [Via::Tcp, Via::Quic];
        let daemon = self.start_on_ports(&vias)?;
        let [tcp, quic] = [numeric(&daemon, Via::Tcp)?, numeric(&daemon, Via::Quic)?];
        let calls = self.calls(&tcp, &quic, pace)?;
        daemon.stop()?;
        let mut idle = Turns::default();
        for _ in 0..pace.rounds {
            // Memory that one of them has given back would be the other's.
            for (via, turns) in [(Via::Tcp, &mut idle.floor), (Via::Quic, &mut idle.ours)] {
                let daemon = self.start_on_ports(&vias)?;
                let (_, each) = self.memory_of(daemon.pid(), &numeric(&daemon, via)?)?;
                turns.push(each);
                daemon.stop()?;
            }
        }
        let seconds = Unit::Seconds;
        let latency = Limits::RatioAtMost { must: 1.5, aim: 1.2 };
        let connect = Limits::RatioAtMost { must: 3.0, aim: 2.0 };
        let rate = Limits::RatioAtLeast { must: 0.5, aim: 0.8 };
        let memory = Limits::AtMost { must: 96.0 * KIB, aim: 72.0 * KIB };
        Ok(vec![
            calls.one.figure("QUIC: warm list, 1 connection", seconds, latency),
            calls.many.figure("QUIC: warm list, 64 connections", seconds, latency),
            calls.rate.figure("QUIC: calls, 64 connections", Unit::PerSecond, rate),
            calls.new.figure("QUIC: new connection to first reply", seconds, connect),
            idle.figure("QUIC: memory, each idle connection", Unit::Bytes, memory),
        ])
    }

    pub(super) fn stream(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        let limits = Limits::RatioAtLeast { must: 0.7, aim: 0.95 };
        ["up", "down"]
            .into_iter()
            .map(|direction| {
                let mut turns = Turns::default();
                for _ in 0..pace.rounds {
                    for (whose, turns) in [("bare", &mut turns.floor), ("ours", &mut turns.ours)] {
                        let mut stream = self.program("stream");
                        stream.args([whose, direction]).arg(self.sandbox.path(HOME).join("root.pem"));
                        stream.args(self.server_identity());
                        turns.push(number(&ask(&mut stream)?, "per_second")?);
                    }
                }
                let what = format!("QUIC: 100 MB {direction} one stream, by quinn's");
                Ok(turns.figure(&what, Unit::BytesPerSecond, limits))
            })
            .collect()
    }

    fn start_on_ports(&self, vias: &[Via]) -> anyhow::Result<Daemon> {
        let [via, also @ ..] = vias else { bail!("a daemon without an address") };
        let options = DaemonOptions { via: *via, also: also.to_vec(), ..DaemonOptions::default() };
        Ok(Daemon::start(&self.sandbox, HOME, &options)?)
    }
}

/// Where the daemon is, without a name that would be looked up at each connection.
fn numeric(daemon: &Daemon, via: Via) -> anyhow::Result<String> {
    let address = daemon.address_over(via).context("the daemon does not listen there")?;
    Ok(address.replace("localhost", "127.0.0.1"))
}
