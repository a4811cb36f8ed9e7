//! Replies: what those of all calls have in common, and how they are read to their end.

use std::future::Future;

use tonic::{Response, Status, Streaming};

use super::Service;
use crate::error::Error;
use crate::terminal::{Progress, output};

/// The longest answer of a call, in bytes: all of its parts together. A hundred thousand instances take less.
pub(super) const MAX_ANSWER_SIZE: usize = 64 * 1024 * 1024;

impl Service {
    /// Reads the answer of a call to its end, shows what it has for the user, and hands each part to `take`.
    ///
    /// # Errors
    /// The service refused, the connection was lost, or there was no end to the answer.
    pub(crate) async fn read_replies<R: Reply>(
        &self,
        answer: Result<Response<Streaming<R>>, Status>,
        mut take: impl FnMut(R),
    ) -> Result<(), Error> {
        let mut replies = answer.map_err(Error::from_status)?.into_inner();
        let mut length = 0_usize;
        while let Some(reply) = replies.message().await.map_err(Error::from_status)? {
            // What is taken is kept, and a service may be anybody's.
            length = length.saturating_add(reply.encoded_len());
            if length > MAX_ANSWER_SIZE {
                return Err(Error::InvalidReply("the service's answer is longer than this client reads"));
            }
            for text in [reply.log_line(), reply.reply_message()] {
                if !text.is_empty() {
                    output::tell(text);
                }
            }
            take(reply);
        }
        Ok(())
    }

    /// As [`Self::read_replies`], for a call that may take long: shows `progress` until the answer has ended. What
    /// `take` refuses ends the call.
    ///
    /// # Errors
    /// As [`Self::read_replies`], and those of `take`.
    pub(crate) async fn read_replies_with_progress<R: Reply>(
        &self,
        progress: &mut Progress,
        answer: impl Future<Output = Result<Response<Streaming<R>>, Status>>,
        mut take: impl FnMut(R, &mut Progress) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut replies = progress.during(answer).await.map_err(Error::from_status)?.into_inner();
        while let Some(reply) = progress.during(replies.message()).await.map_err(Error::from_status)? {
            if !reply.log_line().is_empty() {
                progress.tell(reply.log_line());
            }
            if !reply.reply_message().is_empty() {
                progress.step(reply.reply_message(), None);
            }
            take(reply, progress)?;
        }
        Ok(())
    }
}

/// What the answers of all calls have in common.
pub(crate) trait Reply: prost::Message {
    /// A line of the service's log, for standard error.
    fn log_line(&self) -> &str;
    /// Progress.
    fn reply_message(&self) -> &str {
        ""
    }
}

macro_rules! replies {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn log_line(&self) -> &str {
                &self.log_line
            }
        })*
    };
}

replies!(
    rpc::AuthenticateReply,
    rpc::DeleteReply,
    rpc::FindReply,
    rpc::GetReply,
    rpc::InfoReply,
    rpc::KeysReply,
    rpc::ListReply,
    rpc::NetworksReply,
    rpc::PurgeReply,
    rpc::RecoverReply,
    rpc::SshInfoReply,
    rpc::StopReply,
    rpc::SuspendReply,
    rpc::VersionReply,
    rpc::WaitReadyReply
);

macro_rules! replies_with_messages {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn log_line(&self) -> &str {
                &self.log_line
            }

            fn reply_message(&self) -> &str {
                &self.reply_message
            }
        })*
    };
}

replies_with_messages!(rpc::LaunchReply, rpc::RestartReply, rpc::SetReply, rpc::StartReply);
