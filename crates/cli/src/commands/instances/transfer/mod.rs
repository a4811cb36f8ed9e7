//! `transfer`: files between this machine and instances. What is copied, and how safely, is the crate's of the same
//! name; here it is connected with the instance, the terminal and the signals.

mod messages;
mod plan;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use ssh::SessionError;
use ssh::sftp::{Sftp, SftpError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use transfer::{
    FailureReason, Location, TransferError, TransferOptions, TransferProgress, UploadSource, download,
    download_to, upload, upload_from,
};

use crate::args::TransferArgs;
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::guest::Guest;
use crate::terminal::{Progress, SIGPIPE, TerminationSignals, stdio};
use plan::{Job, Plan};

/// Between two looks at what a transfer is at.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long it may take to remove what is half made, once the command has been given up.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Permissions of a file that is made of standard input, less what the instance's mask takes.
const DEFAULT_MODE: u32 = 0o666;

/// Runs the command.
///
/// # Errors
/// Something was not copied.
pub(crate) async fn transfer(context: &Context, args: &TransferArgs) -> Result<String, Error> {
    let plan = Plan::new(&args.sources, &args.destination)?;
    let options = TransferOptions {
        recursive: args.recursive,
        parents: args.parents,
        into_directory: plan.jobs.len() > 1,
    };
    let mut signals = TerminationSignals::of_process();
    let service = signals.interrupt(Service::connect(context)).await?;
    let copied = TransferProgress::default();
    for jobs in plan.jobs.chunk_by(|one, next| one.instance() == next.instance()) {
        copy(&service, jobs, options, &copied, &mut signals).await?;
    }
    match copied.error_count() {
        0 => Ok(String::new()),
        1 => Err(Error::failed("one file or directory was not copied", None)),
        many => Err(Error::failed(format!("{many} files and directories were not copied"), None)),
    }
}

/// Copies from one instance, or to one.
async fn copy(
    service: &Service,
    jobs: &[Job],
    options: TransferOptions,
    copied: &TransferProgress,
    signals: &mut TerminationSignals,
) -> Result<(), Error> {
    let Some(instance) = jobs.first().map(Job::instance) else { return Ok(()) };
    let guest = signals.interrupt(Guest::connect(service, instance)).await?;
    let mut sftp = match signals.interrupt(async { Ok(guest.session.sftp().await) }).await? {
        Ok(sftp) => sftp,
        Err(error) => return Err(guest.explain(error).await),
    };
    let work = with_progress(jobs, copied, async {
        for job in jobs {
            match run(job, &mut sftp, options, copied).await {
                Err(problem) if options.into_directory && !problem.is_final() => copied.record(problem),
                outcome => outcome.map_err(|problem| (job, problem))?,
            }
        }
        Ok(())
    });
    match signals.interrupt(async { Ok(work.await) }).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err((_, TransferError { reason: FailureReason::Guest(SftpError::Lost(_)), .. }))) => {
            Err(guest.explain(SessionError::Lost).await)
        }
        Ok(Err((job, problem))) => Err(to_error(job, &problem)),
        Err(signal) => {
            if let Some(partial) = copied.partial() {
                // The channel may be in the middle of anything. Where this fails, too, nobody is left to be told.
                let clean = async { guest.session.sftp().await.ok()?.remove(&partial).await.ok() };
                let _ = timeout(CLEANUP_TIMEOUT, clean).await;
            }
            Err(signal)
        }
    }
}

async fn run<S: AsyncRead + AsyncWrite>(
    job: &Job,
    sftp: &mut Sftp<S>,
    options: TransferOptions,
    copied: &TransferProgress,
) -> Result<(), TransferError> {
    match job {
        Job::Upload { from, to, .. } => upload(sftp, from, to, options, copied).await,
        Job::Download { from, to, .. } => download(sftp, from, to, options, copied).await,
        Job::FromInput { to, .. } => {
            let input = stdio::Input::start().map_err(stdio_problem)?;
            let source = UploadSource {
                content: input.reader(),
                name: None,
                permissions: DEFAULT_MODE,
                size: None,
                shown: plan::STREAM.into(),
            };
            upload_from(sftp, source, to, options, copied).await
        }
        Job::ToOutput { from, .. } => {
            let mut output = stdio::Output::stdout().map_err(stdio_problem)?;
            let outcome = download_to(sftp, from, async |data: Bytes| output.write(data).await, copied).await;
            // What came before a fault is shown, too.
            let written = output.finish().await.map_err(stdio_problem);
            outcome.and(written)
        }
    }
}

/// A problem of standard input or output.
fn stdio_problem(error: io::Error) -> TransferError {
    TransferError { location: Location::Local(plan::STREAM.into()), reason: FailureReason::Local(error) }
}

/// Shows what the work is at until it ends, and what it meets.
async fn with_progress<T>(jobs: &[Job], copied: &TransferProgress, work: impl Future<Output = T>) -> T {
    let instance = jobs.first().map(Job::instance).unwrap_or_default();
    let beside = |job: &Job| match job {
        Job::FromInput { .. } => io::stdin().is_terminal(),
        Job::ToOutput { .. } => io::stdout().is_terminal(),
        Job::Upload { .. } | Job::Download { .. } => false,
    };
    let mut progress = if jobs.iter().any(beside) { Progress::hidden() } else { Progress::new("Copying") };
    let mut work = pin!(work);
    loop {
        let outcome = timeout(PROGRESS_INTERVAL, progress.during(&mut work)).await;
        for problem in copied.take_errors() {
            progress.tell(&messages::problem(instance, &problem));
        }
        if let Ok(outcome) = outcome {
            return outcome;
        }
        if let Some(now) = copied.current() {
            let (step, percent) = messages::step(instance, &now);
            progress.step(&step, percent);
        }
    }
}

/// Why a command ends that was to copy one thing, or that cannot go on.
fn to_error(job: &Job, problem: &TransferError) -> Error {
    match (job, &problem.reason) {
        // Whoever reads from this process and goes away ends it, as it does any other.
        (Job::ToOutput { .. }, FailureReason::Local(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Error::Signal(SIGPIPE)
        }
        _ => Error::failed(
            format!("cannot copy {}", messages::problem(job.instance(), problem)),
            messages::next_step(job, problem),
        ),
    }
}
