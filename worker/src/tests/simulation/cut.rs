//! Futures that are dropped in their middle.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Ends with `None`, and drops what it waits for, when that was polled so many times in vain.
pub(super) async fn after<F: Future>(polls: Option<u32>, future: F) -> Option<F::Output> {
    match polls {
        None => Some(future.await),
        Some(left) => Cut { left, future: Box::pin(future) }.await,
    }
}

struct Cut<F> {
    left: u32,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
