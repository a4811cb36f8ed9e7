//! `Authority::admit` over two trust stores, one after the other in each round: prints the seconds that one
//! judgement took, by store and round.
//!
//! Both stores are asked about as many callers, each with a certificate of its own in memory: what differs
//! is the store alone.

use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, ensure};
use auth_core::testkit::{NoAudit, NoGate};
use auth_core::{Admission, Authority, Caller, Channel, ClientCertificate, FileStore, FirstClientRule};
use bench::{read, seconds_since};
use clap::Parser;

/// Callers that take turns.
const CALLERS: usize = 1024;

/// Measures `Authority::admit` with few and with many trusted clients.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data directory with one trusted client
    few: PathBuf,
    /// The data directory with many
    many: PathBuf,
    /// How often each is measured
    #[arg(long)]
    rounds: usize,
    /// Judgements in each measurement
    #[arg(long)]
    judgements: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (few, many) = (Court::open(&arguments.few)?, Court::open(&arguments.many)?);
    let (mut took_few, mut took_many) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        took_few.push(few.sit(arguments.judgements)?);
        took_many.push(many.sit(arguments.judgements)?);
    }
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "few": took_few, "many": took_many }))?;
    Ok(())
}

/// An authority, and trusted callers to ask it about.
struct Court {
    authority: Authority,
    callers: Vec<Caller>,
}

impl Court {
    fn open(data: &Path) -> anyhow::Result<Self> {
        let text = read(&data.join("authenticated-certs/multipass_client_certs.pem"))?;
        let blocks = pem::parse_many(&text)?;
        ensure!(!blocks.is_empty(), "{} holds no client", data.display());
        // Neighbours in the file do not follow each other.
        let step = blocks.len() / CALLERS + 1;
        let chosen = blocks.iter().step_by(step).cycle().take(CALLERS);
        let callers = chosen.map(|block| {
            Ok(Caller {
                channel: Channel::Local { uid: 1000, gid: 1000, groups: [1000].into() },
                certificate: Some(ClientCertificate::from_der(block.contents().to_vec())?),
            })
        });
        let callers = callers.collect::<anyhow::Result<_>>()?;
        let store = FileStore::open(data, SystemTime::now(), |_| {})?;
        let rule = FirstClientRule { daemon_uid: 1000, admin_gid: None };
        Ok(Self {
            authority: Authority::new(Arc::new(store), Box::new(NoGate), rule, Arc::new(NoAudit)),
            callers,
        })
    }

    /// The seconds that one judgement takes, of so many.
    fn sit(&self, judgements: usize) -> anyhow::Result<f64> {
        let start = Instant::now();
        for caller in self.callers.iter().cycle().take(judgements) {
            let admitted = self.authority.admit(black_box(caller)).context("a trusted client was refused")?;
            ensure!(matches!(black_box(admitted), Admission::Granted(_)), "a client was not recognised");
        }
        #[allow(clippy::cast_precision_loss, reason = "some millions")]
        Ok(seconds_since(start) / judgements as f64)
    }
}
