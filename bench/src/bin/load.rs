//! Clients of the service, as many as told, who measure how they are served. What they found goes to standard
//! output as one line of JSON; a failed call fails the whole run.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bench::{Place, Visitor, median, p99, seconds_since};
use clap::{Parser, Subcommand};
use rpc::{AuthenticateReply, AuthenticateRequest};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, spawn_blocking};
use tonic::{Code, Status};
use transport::tls::Identity;

/// Calls before those that count, in seconds.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long a service that is starting has until the next try.
const RETRY: Duration = Duration::from_micros(200);
/// Nothing here takes longer; who waits longer waits in vain.
const LIMIT: Duration = Duration::from_secs(60);
/// Guesses before the next connection. Who guesses may stay on one or make a new one each time; this one does
/// something of both.
const GUESSES_A_CONNECTION: usize = 40;

/// Measures how a service serves.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// `list`, again and again on each of some connections
    Warm {
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        seconds: f64,
    },
    /// A new connection and `list` on it, again and again
    Connect {
        #[arg(long)]
        count: usize,
    },
    /// Connections that have called `list` and stay, until standard input ends
    Hold {
        #[arg(long)]
        connections: usize,
    },
    /// The first `list` that is answered by a service which may not have started yet
    First,
    /// `authenticate`, each by a client of its own
    Authenticate {
        #[arg(long)]
        count: usize,
        #[arg(long)]
        passphrase: String,
    },
    /// `authenticate` with a passphrase that is wrong, by a stranger, without a pause until standard input ends.
    /// It says when it was first refused unheard, and at the end how often a second that was, and how many guesses
    /// were evaluated
    Attack,
}

fn main() -> anyhow::Result<()> {
    let Arguments { place, what } = Arguments::parse();
    let visitor = Visitor::of(&place)?;
    // One connection needs one thread, and jumps between two cost more than the call. Many are to press the
    // service as hard as this machine can.
    let runtime = match what {
        What::Warm { connections: 2.., .. } => Builder::new_multi_thread().enable_all().build()?,
        _ => Builder::new_current_thread().enable_all().build()?,
    };
    match what {
        What::Warm { connections, seconds } => {
            let window = Duration::try_from_secs_f64(seconds)?;
            tell(&within_limit(&runtime, warm(&visitor, connections, window))?)
        }
        What::Connect { count } => tell(&within_limit(&runtime, connect(&visitor, count))?),
        What::Hold { connections } => hold(&runtime, &visitor, connections),
        What::First => {
            tell(&json!({ "waiting": true }))?;
            within_limit(&runtime, first(&visitor))?;
            tell(&json!({ "answered": true }))
        }
        What::Authenticate { count, passphrase } => {
            tell(&within_limit(&runtime, authenticate(&place, count, &passphrase))?)
        }
        What::Attack => tell(&runtime.block_on(attack(&place))?),
    }
}

fn tell(found: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{found}")?;
    Ok(out.flush()?)
}

fn within_limit<T>(runtime: &Runtime, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime
        .block_on(async { tokio::time::timeout(LIMIT, work).await })
        .with_context(|| format!("it was not done within {LIMIT:?}"))?
}

async fn warm(visitor: &Visitor, connections: usize, window: Duration) -> anyhow::Result<Value> {
    let mut lines = Vec::new();
    for _ in 0..connections {
        lines.push(visitor.connect().await?);
    }
    let begin = Instant::now() + WARM_UP;
    let end = begin + window;
    let mut callers = JoinSet::new();
    for mut line in lines {
        callers.spawn(async move {
            let mut took = Vec::new();
            loop {
                let start = Instant::now();
                if start >= end {
                    return anyhow::Ok(took);
                }
                line.list().await?;
                if start >= begin {
                    took.push(seconds_since(start));
                }
            }
        });
    }
    let mut took = Vec::new();
    while let Some(caller) = callers.join_next().await {
        took.extend(caller??);
    }
    #[allow(clippy::cast_precision_loss, reason = "some millions")]
    let per_second = took.len() as f64 / window.as_secs_f64();
    Ok(json!({ "per_second": per_second, "p50": median(took.clone()), "p99": p99(took) }))
}

async fn connect(visitor: &Visitor, count: usize) -> anyhow::Result<Value> {
    let mut took = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let mut line = visitor.connect().await?;
        line.list().await?;
        took.push(seconds_since(start));
    }
    Ok(json!({ "p50": median(took) }))
}

fn hold(runtime: &Runtime, visitor: &Visitor, connections: usize) -> anyhow::Result<()> {
    let lines = within_limit(runtime, async {
        let mut lines = Vec::new();
        for _ in 0..connections {
            let mut line = visitor.connect().await?;
            line.list().await?;
            lines.push(line);
        }
        Ok(lines)
    })?;
    tell(&json!({ "held": lines.len() }))?;
    // Nothing comes: the other end keeps the pipe open for as long as the connections are to stay. They are
    // idle, so nobody has to drive them.
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn first(visitor: &Visitor) -> anyhow::Result<()> {
    loop {
        match visitor.connect().await {
            Ok(mut line) => return line.list().await.map(drop),
            Err(error) if is_not_listening(&error) => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error),
        }
    }
}

fn is_not_listening(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(transport::ConnectError::NotListening { .. }))
}

async fn authenticate(place: &Place, count: usize, passphrase: &str) -> anyhow::Result<Value> {
    let mut took = Vec::new();
    for _ in 0..count {
        let mut line = Visitor::with(place, stranger()?)?.connect().await?;
        let mut request = AuthenticateRequest::default();
        request.passphrase = passphrase.to_owned();
        let start = Instant::now();
        let _: AuthenticateReply = line.call("authenticate", &request).await?;
        took.push(seconds_since(start));
        if let Err(error) = line.list().await {
            bail!("who has authenticated is not let in: {error}");
        }
    }
    Ok(json!({ "seconds": took }))
}

async fn attack(place: &Place) -> anyhow::Result<Value> {
    let visitor = Visitor::with(place, stranger()?)?;
    let mut request = AuthenticateRequest::default();
    request.passphrase = "wrong".to_owned();
    let (mut evaluated, mut unheard, mut first) = (0_u32, 0_u32, None);
    let input = spawn_blocking(|| std::io::stdin().lock().read_to_end(&mut Vec::new()));
    while !input.is_finished() {
        let mut line = visitor.connect().await?;
        for _ in 0..GUESSES_A_CONNECTION {
            let answer: anyhow::Result<AuthenticateReply> = line.call("authenticate", &request).await;
            match answer.map_err(|error| error.downcast::<Status>()) {
                Ok(_) => bail!("a wrong passphrase was accepted"),
                Err(Ok(status)) if status.code() == Code::ResourceExhausted => {
                    if first.is_none() {
                        first = Some(Instant::now());
                        tell(&json!({ "refused": true }))?;
                    }
                    unheard += 1;
                }
                Err(Ok(status)) if status.code() == Code::InvalidArgument => evaluated += 1,
                Err(Ok(status)) => return Err(status.into()),
                Err(Err(error)) => return Err(error),
            }
            if input.is_finished() {
                break;
            }
        }
    }
    input.await??;
    let per_second = f64::from(unheard) / first.map_or(f64::NAN, seconds_since);
    Ok(json!({ "per_second": per_second, "evaluated": evaluated }))
}

/// An identity that nobody knows.
fn stranger() -> anyhow::Result<Identity> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(vec![])?.self_signed(&key)?;
    Ok(Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?)
}
