// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tokio runs: a future, and the promise of its operation.
//!
//! The future exists exactly as long as the promise is set. It ends in one of three ways: it
//! completes or panics; it is cancelled, or its bridge ends, which is checked before a poll and after
//! one that left it pending; tokio drops it with its runtime. In each case the future is dropped first
//! and the result published last. If its drop panics, the result is that panic.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::op::Promise;
use crate::outcome::Outcome;
use crate::panic::catch;

/// A future whose output, panic or cancellation becomes the result of an operation.
pub struct Supervised<F> {
    future: ManuallyDrop<F>,
    promise: Option<Promise>,
}

impl<F> Supervised<F> {
    pub fn new(future: F, promise: Promise) -> Supervised<F> {
        Supervised {
            future: ManuallyDrop::new(future),
            promise: Some(promise),
        }
    }

    /// Drops the future and publishes `outcome`; None: cancelled or shut down.
    fn end(&mut self, outcome: Option<Outcome>) {
        let Some(promise) = self.promise.take() else {
            return;
        };
        let future = &mut self.future;
        // SAFETY: the promise was set, so the future has not been dropped; it never moved.
        let dropped = catch(|| unsafe { ManuallyDrop::drop(future) });
        match (outcome, dropped) {
            (Some(outcome), _) if outcome.is_panic() => promise.finish(outcome), // the first panic counts
            (_, Err(text)) => promise.finish(Outcome::panicked(text)),
            (Some(outcome), Ok(())) => promise.finish(outcome),
            (None, Ok(())) => drop(promise), // publishes which of the two
        }
    }
}

impl<F> Future for Supervised<F>
where
    F: Future,
    F::Output: Into<Outcome>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the future is not moved; the promise need not be pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(promise) = &this.promise else {
            return Poll::Ready(());
        };
        if promise.must_end() {
            this.end(None);
            return Poll::Ready(());
        }
        // SAFETY: pinned with self.
        let future = unsafe { Pin::new_unchecked(&mut *this.future) };
        match catch(|| future.poll(cx).map(Into::into)) {
            Ok(Poll::Pending) if !promise.register(cx.waker()) => return Poll::Pending,
            Ok(Poll::Pending) => this.end(None),
            Ok(Poll::Ready(outcome)) => this.end(Some(outcome)),
            Err(text) => this.end(Some(Outcome::panicked(text))),
        }
        Poll::Ready(())
    }
}

impl<F> Drop for Supervised<F> {
    fn drop(&mut self) {
        self.end(None);
    }
}
