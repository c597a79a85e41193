//! A connection's socket and clock: how long its peer may be silent, dawdle, or not read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::Timer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::Limits;

/// Whether bytes have arrived since the connection last began to wait for a header.
///
/// hyper has one time limit for both an idle connection and a header that has begun, and starts
/// it when it begins to wait. This tells the two apart.
#[derive(Default)]
pub(super) struct Phase(AtomicBool);

/// A TCP socket that notes when bytes arrive, and fails once its peer has taken nothing of what
/// is sent for too long.
pub(super) struct Socket {
    stream: TcpStream,
    phase: Arc<Phase>,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The clock that limits hyper's waits for a header: [`Limits::header_timeout`] for the first one
/// and for each that has begun, [`Limits::idle_timeout`] until one begins.
pub(super) struct HeadTimer {
    phase: Arc<Phase>,
    served: AtomicBool,
    header_timeout: Duration,
}

struct HeadSleep {
    sleep: Pin<Box<Sleep>>,
    phase: Arc<Phase>,
    begun: bool,
    header_timeout: Duration,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, write_timeout: Duration) -> Self {
        Self { stream, phase, write_timeout, stalled: None }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let stalled =
            self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.phase.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl HeadTimer {
    pub(super) fn new(phase: Arc<Phase>, limits: &Limits) -> Self {
        let header_timeout = limits.header_timeout;
        Self { phase, served: AtomicBool::new(false), header_timeout }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, idle_until: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.phase.0.store(false, Ordering::Relaxed);
        let first = !self.served.swap(true, Ordering::Relaxed);
        let deadline = if first { Instant::now() + self.header_timeout } else { idle_until };
        Box::pin(HeadSleep {
            sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
            phase: Arc::clone(&self.phase),
            begun: first,
            header_timeout: self.header_timeout,
        })
    }
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun && self.phase.0.load(Ordering::Relaxed) {
            self.begun = true;
            let deadline = tokio::time::Instant::now() + self.header_timeout;
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for HeadSleep {}
