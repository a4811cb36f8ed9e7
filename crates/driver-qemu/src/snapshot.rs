//! A machine's state, kept in its disk.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use crate::arguments::DISK;
use crate::qmp::commands::{Command, DeleteSnapshot, DismissJob, QueryJobs, SaveSnapshot};
use crate::qmp::{Qmp, QmpError};
use crate::suspended::TAG;

const SAVE: &str = "save";
const DELETE: &str = "delete";
/// Between two looks at a job. QEMU does not answer while it is at it, so there is seldom a second.
const LOOK: Duration = Duration::from_millis(25);

/// Keeps the state of a machine whose processors are halted, in place of one that was kept before.
///
/// # Errors
/// QEMU could not do it.
pub(crate) async fn save(qmp: &Qmp<impl AsyncRead + AsyncWrite + Send + 'static>) -> Result<(), QmpError> {
    // One is there if we were killed the last time, between the last two steps of suspending or resuming.
    delete(qmp).await?;
    clear(qmp, SAVE).await?;
    qmp.run(SaveSnapshot { job_id: SAVE, tag: TAG, vmstate: DISK, devices: [DISK] }).await?;
    conclude(qmp, SAVE).await
}

/// Forgets the state that is kept, if there is one.
///
/// # Errors
/// QEMU could not do it.
pub(crate) async fn delete(qmp: &Qmp<impl AsyncRead + AsyncWrite + Send + 'static>) -> Result<(), QmpError> {
    clear(qmp, DELETE).await?;
    qmp.run(DeleteSnapshot { job_id: DELETE, tag: TAG, devices: [DISK] }).await?;
    conclude(qmp, DELETE).await
}

/// Has a job end that is there already: we were killed in the middle of it. What became of it, the next one shows.
async fn clear(
    qmp: &Qmp<impl AsyncRead + AsyncWrite + Send + 'static>,
    job: &'static str,
) -> Result<(), QmpError> {
    ended(qmp, job).await.map(drop)
}

/// Waits for a job's end.
async fn conclude(
    qmp: &Qmp<impl AsyncRead + AsyncWrite + Send + 'static>,
    job: &'static str,
) -> Result<(), QmpError> {
    let refused = |why: String| QmpError::Refused { command: job, why: crate::qmp::printable(&why) };
    match ended(qmp, job).await? {
        Some(None) => Ok(()),
        Some(Some(why)) => Err(refused(why)),
        None => Err(refused("the job is gone".to_owned())),
    }
}

/// Waits for a job's end, and tells with which error it ended; nothing if there is no such. A QEMU that answers,
/// but never says that the job has ended, is waited for no longer than one that does not answer.
async fn ended(
    qmp: &Qmp<impl AsyncRead + AsyncWrite + Send + 'static>,
    job: &'static str,
) -> Result<Option<Option<String>>, QmpError> {
    let within = QueryJobs::WITHIN;
    timeout(within, look(qmp, job)).await.unwrap_or(Err(QmpError::TimedOut { command: job, within }))
}

async fn look(
    qmp: &Qmp<impl AsyncRead + AsyncWrite + Send + 'static>,
    job: &'static str,
) -> Result<Option<Option<String>>, QmpError> {
    loop {
        let jobs = qmp.run(QueryJobs {}).await?;
        match jobs.into_iter().find(|found| found.id == job) {
            Some(found) if found.status == "concluded" => {
                qmp.run(DismissJob { id: job }).await?;
                return Ok(Some(found.error));
            }
            Some(_) => sleep(LOOK).await,
            None => return Ok(None),
        }
    }
}
