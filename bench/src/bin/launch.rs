//! Launches instances, one after the other, and watches each from outside: when the system has its QEMU, when its
//! SSH server answers somebody who asks by himself, and when who wanted it has the reply. What was found goes to
//! standard output as one line of JSON.
//!
//! Of the daemon's own files it reads which process and which port to watch, never a time.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bench::{Line, Place, Visitor};
use clap::Parser;
use rpc::{DeleteReply, DeleteRequest, InstanceSnapshotPair, LaunchRequest};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Between two looks for QEMU.
const LOOK: Duration = Duration::from_millis(1);
/// Between the beginnings of two attempts to be answered: so late at most is the answer seen.
const KNOCK: Duration = Duration::from_millis(25);
/// What was not answered by then never is: QEMU has lost it while the guest's network was not up.
const PATIENCE: Duration = Duration::from_secs(1);
/// No launch here takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Measures what the service adds to a guest's own time.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The image to launch
    #[arg(long)]
    image: PathBuf,
    /// The directory of the service's instances
    #[arg(long)]
    instances: PathBuf,
    /// Launches that count; one goes before them, with which the image comes into the store
    #[arg(long)]
    count: usize,
}

/// Seconds of one launch.
struct Took {
    /// From before the request to QEMU's process.
    to_qemu: f64,
    /// From QEMU's process to the answer of the guest's SSH server: the guest's own time.
    to_ssh: f64,
    /// From that answer to the reply.
    to_reply: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let visitor = Visitor::of(&arguments.place)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let all = runtime.block_on(async {
        let mut line = visitor.connect().await?;
        let mut all = Vec::new();
        for number in 0..=arguments.count {
            let name = format!("measured-{number}");
            let launched = launch(&mut line, &arguments, &name);
            all.push(timeout(LIMIT, launched).await.context("an instance was not up in time")??);
        }
        anyhow::Ok(all)
    })?;
    let counts = all.get(1..).unwrap_or_default();
    let of = |what: fn(&Took) -> f64| counts.iter().map(what).collect::<Vec<_>>();
    let found = json!({
        "to_qemu": of(|took| took.to_qemu),
        "to_ssh": of(|took| took.to_ssh),
        "to_reply": of(|took| took.to_reply),
    });
    Ok(writeln!(std::io::stdout().lock(), "{found}")?)
}

async fn launch(line: &mut Line, arguments: &Arguments, name: &str) -> anyhow::Result<Took> {
    let wish = LaunchRequest {
        instance_name: name.to_owned(),
        image: format!("file://{}", arguments.image.display()),
        mem_size: "128M".to_owned(),
        disk_space: "512M".to_owned(),
        ..Default::default()
    };
    let machine = arguments.instances.join(name).join("machine");
    let watching = tokio::spawn(watch(machine));
    let asked = Instant::now();
    line.finish("launch", &wish).await.context("the launch failed")?;
    let replied = Instant::now();
    let (began, answered) = timeout(PATIENCE, watching).await.context("the guest was not seen")???;

    let pair = InstanceSnapshotPair { instance_name: name.to_owned(), snapshot_name: None };
    let delete = DeleteRequest { instance_snapshot_pairs: vec![pair], purge: true, ..Default::default() };
    line.call::<DeleteReply>("delet", &delete).await.context("the instance cannot be deleted")?;
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
    Ok(Took {
        to_qemu: seconds(asked, began),
        to_ssh: seconds(began, answered),
        to_reply: seconds(answered, replied),
    })
}

/// When QEMU was there, and when the guest's SSH server answered.
async fn watch(machine: PathBuf) -> anyhow::Result<(Instant, Instant)> {
    let began = loop {
        // The process begins as a shell, which becomes QEMU.
        if let Some(process) = number::<u32>(&machine.join("pid")).await
            && let Ok(name) = tokio::fs::read(format!("/proc/{process}/comm")).await
            && name.starts_with(b"qemu-system")
        {
            break Instant::now();
        }
        sleep(LOOK).await;
    };
    let port = loop {
        match number::<u16>(&machine.join("port")).await {
            Some(port) => break port,
            None => sleep(LOOK).await,
        }
    };
    Ok((began, answered(port).await?))
}

async fn number<T: FromStr>(file: &Path) -> Option<T> {
    tokio::fs::read_to_string(file).await.ok()?.trim().parse().ok()
}

/// When the first of many attempts was answered.
async fn answered(port: u16) -> anyhow::Result<Instant> {
    let (mut attempts, mut knock) = (JoinSet::new(), interval(KNOCK));
    knock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = knock.tick() => {
                attempts.spawn(timeout(PATIENCE, banner(port)));
            }
            Some(attempt) = attempts.join_next() => {
                if let Ok(Ok(Ok(at))) = attempt {
                    return Ok(at);
                }
            }
        }
    }
}

async fn banner(port: u16) -> anyhow::Result<Instant> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).await?;
    if banner != *b"SSH-" {
        bail!("another protocol");
    }
    Ok(Instant::now())
}
