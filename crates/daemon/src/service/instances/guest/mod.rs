//! Asks guests about themselves, over SSH: for a short while, and several at once. Who does not answer is not
//! known, and keeps nobody waiting beyond that. Nothing that a guest says is believed further than it is read.

mod facts;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use instances::{InstanceError, InstanceName, InstanceState, Instances, Overview, SshAccess};
use ssh::{HostKey, KeyError, KeyPair, Session, SessionError};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::logging::with_causes;
pub(super) use facts::{Facts, Usage};

/// For one guest, with the wait for its turn. An emulated one takes a second when it has nothing else to do.
const DEADLINE: Duration = Duration::from_secs(5);

/// Guests that are asked at the same time, by all callers together.
pub(in crate::service) const MAX_QUERIES: usize = 16;

/// Why a guest's answer is not known.
#[derive(Debug, Error)]
enum QueryError {
    #[error("it did not answer within {} s", DEADLINE.as_secs())]
    TimedOut,
    #[error(transparent)]
    NotUp(#[from] InstanceError),
    #[error("its SSH port does not answer")]
    Connect(#[from] std::io::Error),
    #[error("its keys cannot be read")]
    Key(#[from] KeyError),
    #[error("its key is not text")]
    NotText(#[from] std::str::Utf8Error),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// What those guests tell that are up; nothing about the others, and those who do not answer.
pub(super) async fn query(
    permits: &Arc<Semaphore>,
    instances: &Instances,
    of: &[Overview],
) -> HashMap<InstanceName, Facts> {
    let is_up =
        |one: &&Overview| matches!(one.state, InstanceState::Running | InstanceState::DelayedShutdown);
    let mut queries = JoinSet::new();
    for one in of.iter().filter(is_up) {
        let (permits, instances, name) = (Arc::clone(permits), instances.clone(), one.name.clone());
        queries.spawn(async move {
            // It is never closed. Who waits for a permit has its own time after that.
            let Ok(_permit) = timeout(DEADLINE, permits.acquire()).await else {
                log_failure(&name, &QueryError::TimedOut);
                return None;
            };
            let answer = timeout(DEADLINE, query_one(&instances, &name));
            match answer.await.unwrap_or(Err(QueryError::TimedOut)) {
                Ok(facts) => Some((name, facts)),
                Err(error) => {
                    log_failure(&name, &error);
                    None
                }
            }
        });
    }
    let mut known = HashMap::new();
    while let Some(answered) = queries.join_next().await {
        known.extend(answered.ok().flatten());
    }
    known
}

fn log_failure(name: &InstanceName, error: &QueryError) {
    match error {
        QueryError::Session(SessionError::WrongHost) => tracing::warn!("instance \"{name}\": {error}"),
        _ => tracing::debug!("instance \"{name}\" does not tell of itself: {}", with_causes(error)),
    }
}

async fn query_one(instances: &Instances, name: &InstanceName) -> Result<Facts, QueryError> {
    let access = instances.connect(name).await?;
    let stream = TcpStream::connect(access.address).await?;
    query_over(stream, &access).await
}

async fn query_over<S>(stream: S, access: &SshAccess) -> Result<Facts, QueryError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host: HostKey = access.host_key.parse()?;
    let key = KeyPair::from_openssh(std::str::from_utf8(&access.client_key)?)?;
    let session = Session::open(stream, &host, access.user, &key).await?;
    let answer = session.run(facts::SCRIPT, facts::MAX_ANSWER).await?;
    Ok(Facts::read(&String::from_utf8_lossy(&answer.stdout)))
}

#[cfg(test)]
mod tests;
