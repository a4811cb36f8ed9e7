//! tokio, as quinn knows it: with a timer and a socket of our own, and tasks that end when they should.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

use crate::lingering;
use crate::socket::ReleasableSocket;
use crate::timer::Timer;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a listener's tasks run on. Those of its connections are bounded.
#[derive(Debug)]
pub(crate) struct ServerRuntime;

/// What a client's tasks run on.
#[derive(Debug)]
pub(crate) struct ClientRuntime;

impl Runtime for ServerRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer::new(at))
    }

    fn spawn(&self, task: Task) {
        tokio::spawn(lingering::bounded(task));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(ReleasableSocket::new(socket)?)
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

impl Runtime for ClientRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        ServerRuntime.new_timer(at)
    }

    fn spawn(&self, task: Task) {
        tokio::spawn(YieldingTask { task, waited: false });
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        ServerRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        ServerRuntime.now()
    }
}

/// A task that takes its turn behind those who are waiting for theirs. HTTP/2 writes a call's headers, and then has
/// another task write its message: both go in one datagram, where quinn would have sent the first by then.
struct YieldingTask {
    task: Task,
    waited: bool,
}

impl Future for YieldingTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.task.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_clients_task_lets_those_go_first_who_wait() {
        let (done, mut order) = mpsc::unbounded_channel();
        let also = done.clone();
        ClientRuntime.spawn(Box::pin(async move { done.send("quinn").unwrap() }));
        tokio::spawn(async move { also.send("another").unwrap() });
        assert_eq!(order.recv().await, Some("another"));
        assert_eq!(order.recv().await, Some("quinn"));
    }
}
