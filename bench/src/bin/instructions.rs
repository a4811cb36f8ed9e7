//! Work whose instructions `cargo xtask instructions` counts: all of it in the function [`counted`], by whose
//! name the counting is turned on, and the same at every run.
//!
//! It prints how often the work was done.

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use auth_core::testkit::{MemoryStore, NoAudit, NoGate};
use auth_core::{
    Actor, Admission, Authority, Caller, Change, Channel, ClientCertificate, Condition, Enrolment, FileStore,
    FirstClientRule, Level, Outcome, TrustStore,
};
use bench::{block, clients};
use clap::Parser;

/// Judgements that are counted together.
const JUDGEMENTS: usize = 1000;

#[derive(Debug, Parser)]
enum Work {
    /// Judges trusted callers where so many clients are trusted
    Admit { clients: u64 },
    /// Opens a trust store of so many clients, which it makes in that directory
    Open { clients: u64, directory: PathBuf },
}

fn main() -> anyhow::Result<()> {
    let times = match Work::parse() {
        Work::Admit { clients } => admit(clients)?,
        Work::Open { clients, directory } => open(clients, directory)?,
    };
    writeln!(std::io::stdout(), "{times}")?;
    Ok(())
}

/// Nothing is counted but what runs in here.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn admit(count: u64) -> anyhow::Result<usize> {
    let channel = Channel::Local { uid: 1000, gid: 1000, groups: [1000].into() };
    let store = MemoryStore::new();
    let mut callers = Vec::new();
    for der in clients(certificate()?, count)? {
        let certificate = ClientCertificate::from_der(der)?;
        let (condition, at) = (Condition::WantedBy(Actor::Administrator), SystemTime::UNIX_EPOCH);
        let level = Level::Full;
        let enrolment =
            Enrolment { condition, certificate: &certificate, level, channel: None, name: None, at };
        let outcome = store.change(&Change::Enrol(enrolment), &mut || Ok(()))?;
        ensure!(outcome == Outcome::Changed, "a client was not enrolled");
        // The last ones too: whoever looks through them all, looks long.
        callers.push(Caller { channel: channel.clone(), certificate: Some(certificate) });
    }
    let rule = FirstClientRule { daemon_uid: 1000, admin_gid: None };
    let authority = Authority::new(Arc::new(store), Box::new(NoGate), rule, Arc::new(NoAudit));
    // Neighbours do not follow each other.
    let step = callers.len() / JUDGEMENTS + 1;
    let chosen: Vec<&Caller> = callers.iter().step_by(step).cycle().take(JUDGEMENTS).collect();
    let granted = counted(|| {
        let admitted = |caller: &&Caller| matches!(authority.admit(caller), Ok(Admission::Granted(_)));
        black_box(&chosen).iter().filter(|caller| admitted(caller)).count()
    });
    ensure!(granted == JUDGEMENTS, "a trusted client was refused");
    Ok(JUDGEMENTS)
}

fn open(count: u64, directory: PathBuf) -> anyhow::Result<usize> {
    let store = directory.join("authenticated-certs");
    std::fs::create_dir_all(&store).with_context(|| format!("cannot make {}", store.display()))?;
    let text: String = clients(certificate()?, count)?.map(block).collect();
    std::fs::write(store.join("multipass_client_certs.pem"), text)?;
    let opened = counted(|| FileStore::open(&directory, SystemTime::UNIX_EPOCH, |_| {}))?;
    ensure!(!opened.is_empty(), "the store was opened empty");
    Ok(count.try_into()?)
}

/// The same at every run; to make one would take TLS's library, which is built as long as all else here.
fn certificate() -> anyhow::Result<Vec<u8>> {
    Ok(pem::parse(include_str!("../client.pem"))?.into_contents())
}
