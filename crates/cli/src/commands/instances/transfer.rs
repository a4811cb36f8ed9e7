//! `transfer`: files between this machine and instances. What is copied, and how safely, is the crate's of the same
//! name; here it is connected with the instance, the terminal and the signals.

mod plan;
mod words;

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
use crate::attend::{BROKEN_PIPE, Signals};
use crate::context::Context;
use crate::error::Error;
use crate::guest::Guest;
use crate::pipes;
use crate::progress::Progress;
use crate::service::Service;
use plan::{Job, Plan};

/// Between two looks at what a transfer is at.
const BEAT: Duration = Duration::from_millis(100);
/// How long it may take to remove what is half made, once the command has been given up.
const CLEANING_LIMIT: Duration = Duration::from_secs(2);
/// Permissions of a file that is made of standard input, less what the instance's mask takes.
const USUAL: u32 = 0o666;

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
    let mut signals = Signals::own();
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
    signals: &mut Signals,
) -> Result<(), Error> {
    let Some(instance) = jobs.first().map(Job::instance) else { return Ok(()) };
    let guest = signals.interrupt(Guest::connect(service, instance)).await?;
    let mut sftp = match signals.interrupt(async { Ok(guest.session.sftp().await) }).await? {
        Ok(sftp) => sftp,
        Err(error) => return Err(guest.explain(error).await),
    };
    let work = shown(jobs, copied, async {
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
        Ok(Err((job, problem))) => Err(fault(job, &problem)),
        Err(signal) => {
            if let Some(partial) = copied.partial() {
                // The channel may be in the middle of anything. Where this fails, too, nobody is left to be told.
                let clean = async { guest.session.sftp().await.ok()?.remove(&partial).await.ok() };
                let _ = timeout(CLEANING_LIMIT, clean).await;
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
            let input = pipes::Input::begin().map_err(own_end)?;
            let source = UploadSource {
                content: input.reader(),
                name: None,
                permissions: USUAL,
                size: None,
                shown: plan::STREAM.into(),
            };
            upload_from(sftp, source, to, options, copied).await
        }
        Job::ToOutput { from, .. } => {
            let mut output = pipes::Output::stdout().map_err(own_end)?;
            let outcome = download_to(sftp, from, async |data: Bytes| output.write(data).await, copied).await;
            // What came before a fault is shown, too.
            let written = output.finish().await.map_err(own_end);
            outcome.and(written)
        }
    }
}

/// A problem of standard input or output.
fn own_end(error: io::Error) -> TransferError {
    TransferError { location: Location::Local(plan::STREAM.into()), reason: FailureReason::Local(error) }
}

/// Shows what the work is at until it ends, and what it meets.
async fn shown<T>(jobs: &[Job], copied: &TransferProgress, work: impl Future<Output = T>) -> T {
    let instance = jobs.first().map(Job::instance).unwrap_or_default();
    let beside = |job: &Job| match job {
        Job::FromInput { .. } => io::stdin().is_terminal(),
        Job::ToOutput { .. } => io::stdout().is_terminal(),
        Job::Upload { .. } | Job::Download { .. } => false,
    };
    let mut progress = if jobs.iter().any(beside) { Progress::unseen() } else { Progress::new("Copying") };
    let mut work = pin!(work);
    loop {
        let outcome = timeout(BEAT, progress.during(&mut work)).await;
        for problem in copied.take_errors() {
            progress.tell(&words::problem(instance, &problem));
        }
        if let Ok(outcome) = outcome {
            return outcome;
        }
        if let Some(current) = copied.current() {
            let (step, percent) = words::step(instance, &current);
            progress.step(&step, percent);
        }
    }
}

/// Why a command ends that was to copy one thing, or that cannot go on.
fn fault(job: &Job, problem: &TransferError) -> Error {
    match (job, &problem.reason) {
        // Whoever reads from this process and goes away ends it, as it does any other.
        (Job::ToOutput { .. }, FailureReason::Local(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Error::Signal(BROKEN_PIPE)
        }
        _ => Error::failed(
            format!("cannot copy {}", words::problem(job.instance(), problem)),
            words::next_step(job, problem),
        ),
    }
}
