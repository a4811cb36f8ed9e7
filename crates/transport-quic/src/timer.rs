//! quinn's timer, which costs nothing when it is only put off.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::AsyncTimer;
use tokio::time::{Sleep, sleep_until};

/// quinn sets its timer again with each datagram: by some milliseconds when one is sent, by seconds once it is
/// acknowledged. Each time it is sooner than before, tokio wakes the thread that waits, lest it wait too long. This one
/// stays as it is when it is put off, and looks at what it was put off to when it ends.
#[derive(Debug)]
pub(crate) struct Timer {
    due: Instant,
    /// Ends no later than that.
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    pub(crate) fn new(due: Instant) -> Self {
        Self { due, sleep: Box::pin(sleep_until(due.into())) }
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, due: Instant) {
        self.due = due;
        if self.sleep.deadline().into_std() > due {
            self.sleep.as_mut().reset(due.into());
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(Future::poll(self.sleep.as_mut(), cx));
            let due = self.due.into();
            if self.sleep.deadline() >= due {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_was_last_told_to() {
        let now = tokio::time::Instant::now();
        let at = |seconds| (now + Duration::from_secs(seconds)).into_std();
        for (resets, ends) in
            [(&[][..], 5), (&[9], 9), (&[2], 2), (&[9, 7], 7), (&[2, 9], 9), (&[9, 2, 3], 3)]
        {
            let start = tokio::time::Instant::now();
            let offset = start - now;
            let mut timer = Box::pin(Timer::new(at(5) + offset));
            for seconds in resets {
                timer.as_mut().reset(at(*seconds) + offset);
            }
            poll_fn(|cx| timer.as_mut().poll(cx)).await;
            assert_eq!(start.elapsed(), Duration::from_secs(ends), "{resets:?}");
        }
    }
}
